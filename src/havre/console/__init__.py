"""The few web pages that `clever login` and `clever open` need: sign-in, and where an app or organisation is.

Plain HTML from templates, no script, no request to anybody else (the content security policy forbids it). The room is a
customer of the API: what it needs is given to `pages` as functions.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, select_autoescape

from havre.base.errors import HavreError

SignIn = Callable[[str, str, str], Awaitable[str]]  # e-mail, password, cli token -> the person's name
POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {"content-security-policy": POLICY, "referrer-policy": "no-referrer", "cache-control": "no-store"}
COOKIE = "havre-form"


def pages(sign_in: SignIn) -> APIRouter:
    """The pages. `sign_in` binds a new token to the command line's and raises DeniedError."""
    router = APIRouter(include_in_schema=False)
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=select_autoescape()
    )
    key = secrets.token_bytes(32)

    def page(name: str, *, status: int = 200, **values: str) -> HTMLResponse:
        return HTMLResponse(templates.get_template(name).render(**values), status_code=status, headers=HEADERS)

    def proof(nonce: str) -> str:
        return hmac.new(key, nonce.encode(), hashlib.sha256).hexdigest()

    def form(cli_token: str, *, error: str = "", status: int = 200) -> Response:
        nonce = secrets.token_urlsafe(18)
        shown = page("sign_in.html", status=status, cli_token=cli_token, proof=proof(nonce), error=error)
        shown.set_cookie(COOKIE, nonce, httponly=True, secure=True, samesite="strict", max_age=900, path="/cli-oauth")
        return shown

    @router.get("/")
    async def home() -> Response:
        return page("home.html", title="Havre", text="This is a Havre installation. Its command line is clever.")

    @router.get("/cli-oauth")
    async def ask(cli_token: str = "") -> Response:
        return form(cli_token)

    @router.post("/cli-oauth")
    async def bind(
        request: Request,
        cli_token: Annotated[str, Form()],
        email: Annotated[str, Form()],
        password: Annotated[str, Form()],
        proof_given: Annotated[str, Form(alias="proof")],
    ) -> Response:
        if not hmac.compare_digest(proof(request.cookies.get(COOKIE, "")), proof_given):
            return form(cli_token, error="This form has expired. Try again.", status=400)
        try:
            name = await sign_in(email, password, cli_token)
        except HavreError as error:
            return form(cli_token, error=error.message[:1].upper() + error.message[1:] + ".", status=401)
        return page(
            "home.html",
            title=f"Hello {name}",
            text="You are signed in. You can close this page and go on in your terminal.",
        )

    @router.get("/goto/{id}")
    @router.get("/organisations/{path:path}")
    @router.get("/users/{path:path}")
    async def elsewhere(request: Request) -> Response:
        text = "The pages of the console are not part of this installation yet. Use clever in a terminal."
        return page("home.html", title="Not here yet", text=text)

    return router
