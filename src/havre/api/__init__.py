"""The public HTTP contract: routes, authentication, and the way between wire and domain.

One application on one origin: the API (v2, v4), git, the sign-in pages, the OpenAPI document at `/openapi.json`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from havre import __version__, governance
from havre.api import account, applications, catalogue, errors, events, stacks, streams
from havre.api.context import Context
from havre.api.git import GitDoor
from havre.api.limits import Attempts
from havre.apps import Apps
from havre.base.errors import ExhaustedError
from havre.kernel.kernel import Kernel
from havre.kernel.rooms import Room
from havre.kernel.store import Tx

__all__ = ["create_app"]
BODY_LIMIT = 1024**2
SignIn = Callable[[str, str, str], Awaitable[str]]  # e-mail, password, cli token -> the person's name
Pages = Callable[[SignIn], APIRouter]


def create_app(kernel: Kernel, rooms: tuple[Room, ...], apps: Apps, *, pages: Pages) -> ASGIApp:
    """The application for one installation. `pages` makes the web pages, given how somebody signs in."""
    app = FastAPI(
        title="Havre",
        version=__version__,
        description="The public API of a Havre installation; its wire contract is Clever Cloud's.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.state.context = Context(kernel, rooms, apps)
    errors.install(app)
    app.include_router(account.router)
    app.include_router(catalogue.router)
    app.include_router(stacks.router)
    for prefix in ("/v2/self", "/v2/organisations/{owner_id}"):
        app.include_router(applications.router, prefix=prefix)
    app.include_router(streams.router)
    app.include_router(events.router)
    app.router.routes.append(_git_route())
    app.include_router(pages(_sign_in(kernel)))
    return _Shaped(app)


def _git_route() -> Route:
    return Route("/git/{path:path}", GitDoor(), include_in_schema=False)


def _sign_in(kernel: Kernel) -> SignIn:
    attempts = Attempts(kernel.clock)

    async def sign_in(email: str, password: str, cli_token: str) -> str:
        if not attempts.allow(email.strip().lower()):
            raise ExhaustedError("too many attempts; wait a minute")

        def work(tx: Tx) -> str:
            actor = governance.sign_in(tx, email=email, password=password, rng=kernel.rng)
            governance.bind_cli_token(tx, actor, cli_token=cli_token, rng=kernel.rng)
            return actor.name

        return await kernel.store.write(work)

    return sign_in


class _Shaped:
    """Before the framework: doubled slashes collapse (a trailing slash in API_HOST makes them), bodies are bounded."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            path = scope["path"]
            while "//" in path:
                path = path.replace("//", "/")
            scope = dict(scope, path=path)
            if scope["type"] == "http" and not path.startswith("/git/"):
                length = dict(scope["headers"]).get(b"content-length", b"0")
                if not length.isdigit() or int(length) > BODY_LIMIT:
                    await errors.answer(ExhaustedError(f"a request may have {BODY_LIMIT} bytes"))(scope, receive, send)
                    return
        await self._app(scope, receive, send)
