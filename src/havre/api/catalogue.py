"""What this installation offers: kinds of apps, zones, add-ons; its state; its figures."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from havre import __version__, edge, governance
from havre.api import render
from havre.api.context import Caller, Ctx, record
from havre.apps import runtimes
from havre.base.errors import NotFoundError
from havre.kernel.store import Tx
from havre.wire import models

router = APIRouter(tags=["catalogue"])


@router.get("/v2/products/instances")
async def products(ctx: Ctx) -> list[models.Product]:
    return [render.product(each, lack=ctx.apps.intents.lack(each)) for each in runtimes.RUNTIMES.values()]


@router.get("/v2/products/instances/{name}")
async def product(ctx: Ctx, name: str) -> models.Product:
    for each in runtimes.RUNTIMES.values():
        if name in (each.type, f"{each.type}-{render.IMAGE}"):
            return render.product(each, lack=ctx.apps.intents.lack(each))
    raise NotFoundError(f"there is no product {name}")


@router.get("/v4/products/zones")
async def zones() -> list[models.Zone]:
    return render.zones()


@router.get("/v4/products/zones/{name}")
async def zone(name: str) -> models.Zone:
    for each in render.zones():
        if each.name == name:
            return each
    raise NotFoundError(f"there is no zone {name}")


@router.get("/v2/products/zones")
async def legacy_zones() -> list[dict[str, Any]]:
    return [{"name": each.name, "internal": False, "correspondingRegion": each.name} for each in render.zones()]


@router.get("/v2/products/addonproviders")
async def addon_providers() -> list[Any]:
    """No managed service is offered yet."""
    return []


@router.get("/v2/self/addons")
@router.get("/v2/organisations/{owner_id}/addons")
async def addons(actor: Caller) -> list[Any]:
    return []


@router.get("/health", tags=["operator"])
async def health() -> dict[str, str]:
    return {"status": "ok", "version": __version__}


@router.get("/v2/havre/status", tags=["operator"])
async def status(ctx: Ctx, actor: Caller) -> models.PlatformStatus:
    """Rooms with their health and backlog, operations under way; for operators."""
    governance.authorise_operator(actor)
    rooms = []
    for room in ctx.rooms:
        if room.health is not None:
            seen = await room.health()
            figures = seen.figures or {}
            rooms.append(models.RoomStatus(name=room.name, error=seen.error, backlog=seen.backlog, figures=figures))
    live = await ctx.read(ctx.kernel.operations.live)
    shown = [
        models.OperationStatus(
            id=each.id,
            kind=each.kind,
            key=each.key,
            status=each.status,
            step=each.step,
            progress=each.progress,
            error=each.error,
            since=each.created_at,
        )
        for each in live
    ]
    return models.PlatformStatus(version=__version__, rooms=rooms, operations=shown)


@router.get("/v2/havre/people", tags=["operator"])
async def people(ctx: Ctx, actor: Caller) -> list[dict[str, Any]]:
    governance.authorise_operator(actor)
    rows = await ctx.read(governance.people)
    return [{"id": row.id, "email": row.email, "name": row.name, "isOperator": row.is_operator} for row in rows]


@router.post("/v2/havre/people", status_code=201, tags=["operator"])
async def add_person(ctx: Ctx, actor: Caller, given: models.NewPerson, request: Request) -> dict[str, Any]:
    """Make an account; its password and token are in the answer and nowhere else."""
    governance.authorise_operator(actor)
    name = given.name or given.email.partition("@")[0] or "Person"
    rng = ctx.kernel.rng
    made = governance.new_credentials(rng, email=given.email, name=name)

    def work(tx: Tx) -> None:
        governance.add_person(tx, made, is_operator=given.isOperator, rng=rng)
        record(tx, actor, "person.add", owner_id=None, subject=given.email, request=request)

    await ctx.write(work)
    return {
        "id": made.user_id,
        "email": made.email,
        "organisation": made.owner_id,
        "password": made.password,
        "token": made.token,
        "secret": made.secret,
    }


@router.get("/metrics", include_in_schema=False)
async def metrics(ctx: Ctx, actor: Caller) -> Response:
    """Prometheus text; for operators."""
    governance.authorise_operator(actor)
    own = generate_latest(ctx.kernel.metrics).decode()
    return Response(own + await edge.proxy_metrics(ctx.kernel), media_type=CONTENT_TYPE_LATEST)
