"""What this installation offers: kinds of apps, zones, add-ons."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from havre import governance
from havre.api import render
from havre.api.context import Caller, Ctx, OwnerParam
from havre.apps import runtimes
from havre.base.errors import NotFoundError
from havre.governance import Right
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
async def addons(ctx: Ctx, actor: Caller, owner: OwnerParam) -> list[Any]:
    await ctx.read(lambda conn: governance.authorise(conn, actor, owner, Right.READ))
    return []
