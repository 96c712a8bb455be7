"""Signing in: at the browser, for the command line (`clever login`), for a consumer, after an invitation.

`next` says what the sign-in is for; it is one of our own paths or nothing.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from havre.base.errors import HavreError
from havre.console import Pages, Text, sentence, status_of

PLACES = (
    "/users/me/", "/organisations", "/installation", "/goto/", "/cli-oauth?", "/v2/oauth/authorize?", "/invitation?",
)  # fmt: skip
Proof = Annotated[str, Form(max_length=200)]


def own_path(text: str) -> str:
    """Where to go after a sign-in: never to another site."""
    return text if text.startswith(PLACES) and "\\" not in text and text.isprintable() else "/"


def add(router: APIRouter, pages: Pages) -> None:
    _login(router, pages)
    _command_line(router, pages)
    _consumer(router, pages)
    _invitation(router, pages)


def _login(router: APIRouter, pages: Pages) -> None:
    door = pages.door

    @router.get("/login")
    async def ask(request: Request, next: str = "") -> Response:
        return pages.form(request, "sign_in.html", next=own_path(next), cli_token="", why="")

    @router.post("/login")
    async def enter(
        request: Request,
        proof: Proof,
        next: Text = "",
        email: Text = "",
        password: Text = "",
        cli_token: Text = "",
        ticket: Text = "",
        code: Text = "",
    ) -> Response:
        kept: dict[str, Any] = {"next": own_path(next), "cli_token": cli_token, "why": ""}
        try:
            pages.check(request, proof)
            if ticket:
                entry = await door.enter_code(request, ticket=ticket, code=code)
            else:
                entry = await door.sign_in(request, email=email, password=password)
        except HavreError as error:
            shown = "code.html" if ticket else "sign_in.html"
            return pages.form(
                request, shown, status=status_of(error), error=sentence(error), ticket=ticket, email=email, **kept
            )
        if entry.ticket:
            return pages.form(request, "code.html", ticket=entry.ticket, **kept)
        if cli_token:
            return await _bound(request, entry, cli_token)
        return pages.enter(RedirectResponse(kept["next"], status_code=303), entry)

    async def _bound(request: Request, entry: Any, cli_token: str) -> Response:
        """The sign-in was for the command line: it may act from now on."""
        request.cookies[door.cookie_name] = entry.cookie
        try:
            await door.allow_cli(request, cli_token)
        except HavreError as error:
            return pages.enter(pages.say("That did not work", sentence(error), status=400), entry)
        return pages.enter(_done(pages), entry)

    @router.post("/logout")
    async def leave(request: Request, proof: Proof) -> Response:
        try:
            pages.check(request, proof)
        except HavreError as error:
            return pages.say("That did not work", sentence(error), status=401)
        await door.sign_out(request)
        answer = pages.say("Goodbye", "You are signed out at this browser. Command lines stay signed in.")
        answer.delete_cookie(door.cookie_name, path="/", secure=True, httponly=True)
        return answer


def _done(pages: Pages) -> Response:
    return pages.say("You are signed in", "You can close this page and go on in your terminal.")


def _command_line(router: APIRouter, pages: Pages) -> None:
    door = pages.door
    why = "Signing in lets the command line that sent you here act for you."

    @router.get("/cli-oauth")
    async def ask(request: Request, cli_token: str = "", cli_version: str = "") -> Response:
        visitor = await door.visitor(request)
        if visitor is None:
            return pages.form(request, "sign_in.html", next="", cli_token=cli_token[:200], why=why)
        return pages.form(request, "allow_cli.html", visitor=visitor, cli_token=cli_token[:200])

    @router.post("/cli-oauth")
    async def allow(request: Request, proof: Proof, cli_token: Text) -> Response:
        try:
            pages.check(request, proof)
            await door.allow_cli(request, cli_token)
        except HavreError as error:
            return pages.say("That did not work", sentence(error), status=status_of(error))
        return _done(pages)


def _consumer(router: APIRouter, pages: Pages) -> None:
    door = pages.door

    @router.get("/v2/oauth/authorize")
    async def ask(request: Request, oauth_token: str = "") -> Response:
        try:
            name, rights, origin = await door.consumer_asking(oauth_token)
        except HavreError as error:
            return pages.say("That did not work", sentence(error), status=404)
        visitor = await door.visitor(request)
        if visitor is None:
            back = quote(f"/v2/oauth/authorize?oauth_token={oauth_token}", safe="")
            return RedirectResponse(f"/login?next={back}", status_code=303)
        values: dict[str, Any] = {"consumer": name, "rights": rights, "oauth_token": oauth_token}
        return pages.form(request, "allow_consumer.html", sends_to=origin, visitor=visitor, **values)

    @router.post("/v2/oauth/authorize")
    async def allow(request: Request, proof: Proof, oauth_token: Text) -> Response:
        try:
            pages.check(request, proof)
            to, verifier = await door.allow_consumer(request, oauth_token)
        except HavreError as error:
            return pages.say("That did not work", sentence(error), status=status_of(error))
        if not to:
            return pages.say("Allowed", f"Give this to the program that sent you here: {verifier}")
        answer = RedirectResponse(to, status_code=303)
        answer.headers["referrer-policy"] = "no-referrer"
        return answer


def _invitation(router: APIRouter, pages: Pages) -> None:
    door = pages.door

    @router.get("/invitation")
    async def ask(request: Request, proof: str = "") -> Response:
        try:
            organisation, email, known = await door.invitation(proof)
        except HavreError as error:
            return pages.say("That did not work", sentence(error), status=404)
        visitor = await door.visitor(request)
        if visitor is None and known:
            return RedirectResponse(f"/login?next={quote(f'/invitation?proof={proof}', safe='')}", status_code=303)
        values: dict[str, Any] = {"organisation": organisation, "email": email, "invitation": proof, "visitor": visitor}
        return pages.form(request, "invitation.html", **values)

    @router.post("/invitation")
    async def accept(
        request: Request, proof: Proof, invitation: Text, name: Text = "", password: Text = ""
    ) -> Response:
        try:
            pages.check(request, proof)
            if await door.visitor(request) is not None:
                joined = await door.accept(request, invitation)
                return pages.say("Welcome", f"You are a member of {joined}.")
            entry = await door.join(request, invitation, name=name, password=password)
        except HavreError as error:
            return pages.say("That did not work", sentence(error), status=status_of(error))
        return pages.enter(pages.say("Welcome", "You have an account here. Its command line is clever."), entry)

    @router.get("/confirm-email")
    async def confirm(proof: str = "") -> Response:
        try:
            address = await door.confirm_email(proof)
        except HavreError as error:
            return pages.say("That did not work", sentence(error), status=404)
        return pages.say("Confirmed", f"{address} is yours.")
