"""What keeps an account safe, as plain HTML that works without a script: password, two-step sign-in, sign-out."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from havre.base.errors import HavreError
from havre.console import Pages, Text, sentence, status_of
from havre.console.sign_in_pages import Proof

PAGE = "/users/me/security"


def add(router: APIRouter, pages: Pages) -> None:
    door = pages.door

    async def account(request: Request, *, status: int = 200, **values: Any) -> Response:
        visitor = await door.visitor(request)
        if visitor is None:
            return RedirectResponse(f"/login?next={quote(PAGE, safe='')}", status_code=303)
        return pages.form(request, "account.html", status=status, visitor=visitor, **values)

    @router.get(PAGE)
    async def show(request: Request) -> Response:
        return await account(request)

    @router.post("/users/me/password")
    async def password(request: Request, proof: Proof, old: Text, new: Text) -> Response:
        try:
            pages.check(request, proof)
            await door.change_password(request, old=old, new=new)
        except HavreError as error:
            return await account(request, status=status_of(error), error=sentence(error))
        return await account(request, said="The password is changed. Other browsers are signed out.")

    @router.post("/users/me/second-factor")
    async def begin(request: Request, proof: Proof) -> Response:
        try:
            pages.check(request, proof)
            secret, uri = await door.begin_factor(request)
        except HavreError as error:
            return await account(request, status=status_of(error), error=sentence(error))
        return await account(request, secret=secret, uri=uri)

    @router.post("/users/me/second-factor/confirmation")
    async def confirm(request: Request, proof: Proof, code: Text) -> Response:
        try:
            pages.check(request, proof)
            codes = await door.confirm_factor(request, code)
        except HavreError as error:
            return await account(request, status=status_of(error), error=sentence(error))
        return await account(request, said="Two-step sign-in is on. Keep these codes, each works once.", codes=codes)
