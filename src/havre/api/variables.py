"""The variables of an app."""

from __future__ import annotations

import sqlalchemy as sa
from fastapi import APIRouter, Request

from havre.api import render
from havre.api.app_route import APP, found, shown
from havre.api.context import Caller, Ctx, OwnerParam, record
from havre.apps import views
from havre.governance import Right
from havre.kernel.store import Tx
from havre.wire import models

router = APIRouter(tags=["applications"])


@router.get(APP + "/env")
async def env(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> list[models.Variable]:
    def look(conn: sa.Connection) -> list[models.Variable]:
        app = found(conn, actor, owner, app_id, Right.LOOK_INSIDE)
        return render.variables(views.env(conn, actor, app.owner_id, app_id))

    return await ctx.read(look)


@router.put(APP + "/env")
async def set_env(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, given: dict[str, str], request: Request
) -> models.Application:
    def work(tx: Tx) -> models.Application:
        app = ctx.apps.intents.set_env(tx, actor, owner, app_id, given)
        record(tx, actor, "env.set", owner_id=app.owner_id, subject=app_id, request=request)
        return shown(ctx, tx.conn, actor, app)

    return await ctx.write(work)


@router.put(APP + "/env/{name}")
async def put_env(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, name: str, given: models.Value, request: Request
) -> models.Application:
    def work(tx: Tx) -> models.Application:
        app = ctx.apps.intents.put_env(tx, actor, owner, app_id, name, given.value)
        record(tx, actor, "env.put", owner_id=app.owner_id, subject=f"{app_id} {name}", request=request)
        return shown(ctx, tx.conn, actor, app)

    return await ctx.write(work)


@router.delete(APP + "/env/{name}")
async def drop_env(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, name: str, request: Request
) -> models.Application:
    def work(tx: Tx) -> models.Application:
        app = ctx.apps.intents.drop_env(tx, actor, owner, app_id, name)
        record(tx, actor, "env.drop", owner_id=app.owner_id, subject=f"{app_id} {name}", request=request)
        return shown(ctx, tx.conn, actor, app)

    return await ctx.write(work)
