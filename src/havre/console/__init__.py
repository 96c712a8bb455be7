"""The web pages: the console (`shell`), and what signing in needs at a browser, for the command line, for a consumer.

The pages of signing in are plain HTML from templates, without a script. None of them asks anybody else for anything
(the content security policy forbids it). The room is a customer of the API: what it needs of the platform is the
Protocol `Door`, which it is given. Every form carries a proof bound to a cookie of the same browser, so that no other
site can send it.
"""

from __future__ import annotations

import hmac
import secrets
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response

from havre.base.errors import DeniedError, HavreError
from havre.console import words

if TYPE_CHECKING:
    from jinja2 import Environment

POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}
COOKIE = "__Host-havre-form"
SESSION_S = 30 * 86_400
Text = Annotated[str, Form(max_length=2000)]


class Person(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def email(self) -> str: ...
    @property
    def has_second_factor(self) -> bool: ...


class Entry(Protocol):
    """How a sign-in went: `cookie` when it is done, `ticket` when a code is asked for."""

    @property
    def cookie(self) -> str: ...
    @property
    def ticket(self) -> str: ...


class Door(Protocol):
    """What the pages need of the platform. Everything may raise one of the seven errors."""

    cookie_name: str

    async def visitor(self, request: Request) -> Person | None: ...
    async def sign_in(self, request: Request, *, email: str, password: str) -> Entry: ...
    async def enter_code(self, request: Request, *, ticket: str, code: str) -> Entry: ...
    async def sign_out(self, request: Request) -> None: ...
    async def allow_cli(self, request: Request, cli_token: str) -> None: ...
    async def consumer_asking(self, token: str) -> tuple[str, list[str], str]: ...
    async def allow_consumer(self, request: Request, token: str) -> tuple[str, str]: ...
    async def confirm_email(self, proof: str) -> str: ...
    async def invitation(self, proof: str) -> tuple[str, str, bool]: ...
    async def accept(self, request: Request, proof: str) -> str: ...
    async def join(self, request: Request, proof: str, *, name: str, password: str) -> Entry: ...
    async def change_password(self, request: Request, *, old: str, new: str) -> None: ...
    async def begin_factor(self, request: Request) -> tuple[str, str]: ...
    async def confirm_factor(self, request: Request, code: str) -> list[str]: ...
    async def owner_of(self, request: Request, id: str) -> str: ...
    def proof(self, text: str) -> str: ...


class Pages:
    """Templates, forms and their proofs."""

    def __init__(self, door: Door) -> None:
        self.door = door

    @cached_property
    def _templates(self) -> Environment:
        """Loaded with the first page that somebody looks at."""
        from jinja2 import Environment, FileSystemLoader, select_autoescape

        made = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=select_autoescape())
        made.globals |= {"_": words.said, "language": words.language}
        return made

    def show(self, name: str, *, status: int = 200, sends_to: str = "", **values: Any) -> HTMLResponse:
        """sends_to: the origin that a form of the page may end at besides ours, by a redirect."""
        content = self._templates.get_template(name).render(**values)
        policy = POLICY.replace("form-action 'self'", f"form-action 'self' {sends_to}".rstrip())
        headers = HEADERS | {"content-security-policy": policy}
        return HTMLResponse(content, status_code=status, headers=headers)

    def say(self, title: str, text: str, *, status: int = 200) -> HTMLResponse:
        return self.show("home.html", title=title, text=text, status=status)

    def form(self, request: Request, name: str, *, status: int = 200, **values: Any) -> Response:
        """A page with a form, and the cookie that its proof is bound to."""
        nonce = request.cookies.get(COOKIE) or secrets.token_urlsafe(18)
        shown = self.show(name, status=status, proof=self.door.proof(f"form {nonce}"), **values)
        shown.set_cookie(COOKIE, nonce, httponly=True, secure=True, samesite="strict", max_age=3600, path="/")
        return shown

    def check(self, request: Request, proof: str) -> None:
        """Raises DeniedError for a form that this browser was not shown."""
        nonce = request.cookies.get(COOKIE, "")
        wanted = self.door.proof(f"form {nonce}")
        if not nonce or not hmac.compare_digest(wanted.encode(), proof.encode()):
            raise DeniedError("This form has expired. Try again")

    def enter(self, answer: Response, entry: Entry) -> Response:
        """The browser is signed in from now on."""
        kept = {"httponly": True, "secure": True, "samesite": "lax", "path": "/"}
        answer.set_cookie(self.door.cookie_name, entry.cookie, max_age=SESSION_S, **kept)  # type: ignore[arg-type]
        return answer


def sentence(error: HavreError) -> str:
    return error.message[:1].upper() + error.message[1:] + "."


def status_of(error: HavreError) -> int:
    return 401 if isinstance(error, DeniedError) else 400


def pages(door: Door) -> APIRouter:
    """The pages."""
    from havre.console import account_pages, shell, sign_in_pages

    router = APIRouter(include_in_schema=False, dependencies=[Depends(words.listen)])
    made = Pages(door)
    sign_in_pages.add(router, made)
    account_pages.add(router, made)
    shell.add(router, made)
    return router
