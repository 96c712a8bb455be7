"""The public HTTP contract: routes, authentication, and the way between wire and domain.

One application on one origin: the API (v2, v4, the bridge's tokens), git, the web pages, the OpenAPI document at
`/openapi.json`. One file for each noun.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from havre import __version__, edge
from havre.api import (
    account,
    api_tokens,
    applications,
    catalogue,
    certificates,
    changes,
    consumers,
    counting,
    deployments,
    domains,
    drains,
    errors,
    events,
    hooks,
    links,
    machine,
    migrations,
    oauth,
    operators,
    orchestration,
    organisations,
    overviews,
    redirections,
    sessions,
    stacks,
    stats,
    streams,
    unbuilt,
    variables,
)
from havre.api.bodies import Shaped
from havre.api.context import Context, Known
from havre.api.doorstep import Doorstep
from havre.api.git import GitDoor
from havre.api.limits import Limits
from havre.apps import Apps
from havre.kernel.kernel import Kernel
from havre.kernel.machine import Machine
from havre.kernel.rooms import Room

__all__ = ["create_app"]
Pages = Callable[[Doorstep], APIRouter]
OF_AN_OWNER = (
    applications.router, variables.router, domains.router, redirections.router, certificates.router, deployments.router,
    links.router, overviews.of_an_app,
)  # fmt: skip
WHOLE = (
    account.router,
    sessions.router,
    api_tokens.router,
    organisations.router,
    overviews.router,
    consumers.router,
    oauth.router,
    hooks.router,
    domains.balancers,
    certificates.operators,
    orchestration.router,
    catalogue.router,
    operators.router,
    machine.router,
    stacks.router,
    migrations.router,
    stats.router,
    counting.router,
    streams.router,
    changes.router,
    events.router,
)


def _owned() -> APIRouter:
    """What an owner has, below both addresses of one; made of each route once in a process."""
    made = APIRouter()
    for prefix in ("/v2/self", "/v2/organisations/{owner_id}"):
        for each in OF_AN_OWNER:
            made.include_router(each, prefix=prefix)
    for prefix in drains.ADDRESSES:
        made.include_router(drains.router, prefix=prefix)
    return made


OWNED = _owned()


def create_app(kernel: Kernel, rooms: tuple[Room, ...], apps: Apps, *, pages: Pages) -> ASGIApp:
    """The application for one installation. `pages` makes the web pages, given what they need of the platform."""
    app = FastAPI(
        title="Havre",
        version=__version__,
        description="The public API of a Havre installation; its wire contract is Clever Cloud's.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    ctx = app.state.context = Context(
        kernel, rooms, apps, Limits(kernel.clock), Known(kernel), Machine(kernel), edge.Names(kernel)
    )
    errors.install(app)
    for each in WHOLE:
        app.router.routes.extend(each.routes)  # as they are: what `include_router` would make of each again is 30 KB
    app.router.routes.extend(OWNED.routes)
    app.router.routes.append(Route("/git/{path:path}", GitDoor(), include_in_schema=False))
    app.router.routes.extend(pages(Doorstep(ctx)).routes)
    app.router.routes.extend(unbuilt.router.routes)  # last: it takes what nobody else did
    return Shaped(_open_to_browsers(app))


def _open_to_browsers(app: ASGIApp) -> ASGIApp:
    """Pages of other origins may ask with a signature or a token of their own (CORS); our cookie is never for them."""
    return CORSMiddleware(
        app,
        allow_origins=["*"],
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["authorization", "content-type", "last-event-id", "accept"],
        max_age=86_400,
    )
