"""The domains of an app, and where their DNS should point."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import unquote

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from havre import edge
from havre.api import errors, render
from havre.api.app_route import APP, found
from havre.api.context import Caller, Ctx, OwnerParam, plain_fqdn, record, shown_fqdn
from havre.base.errors import NotFoundError
from havre.governance import Right
from havre.kernel.config import Config
from havre.kernel.store import Tx
from havre.wire import models

router = APIRouter(tags=["applications"])
whole = APIRouter(tags=["applications"])  # addresses of their own


@router.get(APP + "/vhosts")
async def vhosts(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> list[models.VhostObject]:
    def look(conn: sa.Connection) -> list[models.VhostObject]:
        app = found(conn, actor, owner, app_id)
        return [render.vhost(each, ctx.kernel.config) for each in edge.vhosts(conn, app.id)]

    return await ctx.read(look)


@router.get(APP + "/vhosts/favourite")
async def favourite(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> models.VhostObject:
    chosen = await ctx.read(lambda conn: edge.favourite(conn, found(conn, actor, owner, app_id).id))
    if chosen is None:
        raise NotFoundError("No favourite domain is set", id=errors.NO_FAVOURITE)
    return render.vhost(chosen, ctx.kernel.config)


@router.put(APP + "/vhosts/favourite")
async def set_favourite(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, given: models.VhostObject, request: Request
) -> models.VhostObject:
    fqdn = plain_fqdn(given.fqdn, ctx.kernel.config)

    def work(tx: Tx) -> models.VhostObject:
        app = ctx.apps.intents.find(tx, actor, owner, app_id, Right.WRITE)
        chosen = edge.set_favourite(tx, app_id=app.id, fqdn=fqdn)
        record(tx, actor, "vhost.favourite", owner_id=app.owner_id, subject=f"{app_id} {fqdn}", request=request)
        return render.vhost(chosen, ctx.kernel.config)

    return await ctx.write(work)


@router.delete(APP + "/vhosts/favourite", status_code=204)
async def unset_favourite(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, request: Request) -> Response:
    def work(tx: Tx) -> None:
        app = ctx.apps.intents.find(tx, actor, owner, app_id, Right.WRITE)
        edge.unset_favourite(tx, app_id=app.id)
        record(tx, actor, "vhost.unfavourite", owner_id=app.owner_id, subject=app_id, request=request)

    await ctx.write(work)
    return Response(status_code=204)


@router.put(APP + "/vhosts/{fqdn:path}")
async def claim(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, fqdn: str, request: Request) -> models.Message:
    wanted = plain_fqdn(unquote(fqdn), ctx.kernel.config)

    def work(tx: Tx) -> None:
        app = ctx.apps.intents.find(tx, actor, owner, app_id, Right.WRITE)
        edge.claim(tx, app_id=app.id, owner_id=app.owner_id, fqdn=wanted)
        record(tx, actor, "vhost.add", owner_id=app.owner_id, subject=f"{app_id} {wanted}", request=request)

    await ctx.write(work)
    await edge.reconcile_now(ctx.kernel)
    return models.Message(id=323, message=f"{shown_fqdn(wanted, ctx.kernel.config)} has been added", type="success")


@router.delete(APP + "/vhosts/{fqdn:path}")
async def release(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, fqdn: str, request: Request
) -> models.Message:
    wanted = plain_fqdn(unquote(fqdn), ctx.kernel.config)

    def work(tx: Tx) -> None:
        app = ctx.apps.intents.find(tx, actor, owner, app_id, Right.WRITE)
        edge.release(tx, app_id=app.id, fqdn=wanted)
        record(tx, actor, "vhost.drop", owner_id=app.owner_id, subject=f"{app_id} {wanted}", request=request)

    await ctx.write(work)
    await edge.reconcile_now(ctx.kernel)
    return models.Message(id=324, message=f"{wanted} has been removed", type="success")


@whole.get("/v4/load-balancers/organisations/{owner_id}/applications/{app_id}/load-balancers/default")
async def load_balancers(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> list[dict[str, Any]]:
    """Where a domain of the app should point: our name, and the addresses behind it."""
    app = await ctx.read(lambda conn: found(conn, actor, owner, app_id))
    config = ctx.kernel.config
    dns = {"cname": f"{config.edge.base_domain}.", "a": addresses(config)}
    return [{"id": f"lb_{app.zone}", "name": app.zone, "zoneId": render.zone_id(app.zone), "dns": dns}]


def addresses(config: Config) -> list[str]:
    """The edge's addresses: the one that it listens at, or all of this machine's when it listens at all."""
    if config.edge.bind not in ("", "0.0.0.0", "::"):
        return [config.edge.bind]
    own = {each[4][0] for each in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    return sorted(str(each) for each in own) or ["127.0.0.1"]
