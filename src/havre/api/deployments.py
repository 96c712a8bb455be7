"""Deployments of an app and the instances that they made."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request

from havre import observe
from havre.api import render
from havre.api.app_route import APP, found
from havre.api.context import Caller, Ctx, OwnerParam, record
from havre.apps import views
from havre.base.errors import InvalidError
from havre.governance import Right
from havre.kernel.store import Tx
from havre.wire import models, overview

router = APIRouter(tags=["applications"])
JUST_NOW_MS, TOLD_S, ON_ITS_WAY_S = 10_000, 1.5, 0.1


@router.get(APP + "/deployments")
async def deployments(
    ctx: Ctx,
    actor: Caller,
    owner: OwnerParam,
    app_id: str,
    limit: int | None = None,
    offset: int = 0,
    action: str | None = None,
) -> list[models.DeploymentObject]:
    if offset < 0 or offset > 10**9 or (limit is not None and not 0 <= limit <= 10**9):
        raise InvalidError("limit and offset are not negative")

    def look(conn: sa.Connection) -> list[models.DeploymentObject]:
        app = found(conn, actor, owner, app_id)
        rows = views.deployments(conn, app, limit=min(limit or 1000, 1000), offset=offset, action=action)
        return [render.deployment(each) for each in rows]

    return await ctx.read(look)


@router.get(APP + "/deployments/{deployment_id}")
async def deployment(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, deployment_id: str
) -> models.DeploymentObject:
    def look(conn: sa.Connection) -> models.DeploymentObject:
        return render.deployment(views.deployment(conn, found(conn, actor, owner, app_id), deployment_id))

    seen = await ctx.read(look)
    has_just_ended = seen.endedAt is not None and ctx.kernel.clock.now() - seen.endedAt < JUST_NOW_MS
    if has_just_ended and await observe.all_told(ctx.kernel, app_id, limit_s=TOLD_S):
        await ctx.kernel.clock.sleep(ON_ITS_WAY_S)  # who learns of the end here leaves the log at once
    return seen


@router.delete(APP + "/deployments/{deployment_id}/instances")
async def cancel(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, deployment_id: str, request: Request
) -> models.Message:
    def work(tx: Tx) -> None:
        app = ctx.apps.intents.find(tx, actor, owner, app_id, Right.WRITE)
        ctx.apps.intents.cancel(tx, actor, app.owner_id, app_id, deployment_id)
        record(tx, actor, "deployment.cancel", owner_id=app.owner_id, subject=deployment_id, request=request)

    await ctx.write(work)
    return models.Message(id=303, message="The deployment is being cancelled", type="success")


@router.get(APP + "/instances")
async def instances(
    ctx: Ctx,
    actor: Caller,
    owner: OwnerParam,
    app_id: str,
    withDeleted: bool = False,
) -> list[models.InstanceObject]:
    def look(conn: sa.Connection) -> list[models.InstanceObject]:
        app = found(conn, actor, owner, app_id)
        return [
            render.instance(each.instance, each.deployment)
            for each in views.instances(conn, app, with_deleted=withDeleted)
        ]

    return await ctx.read(look)


@router.get(APP + "/commits")
async def commits(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> list[overview.CommitObject]:
    """What can be deployed, newest first: each commit of the branch, and those that a forced push left behind."""
    app = await ctx.read(lambda conn: found(conn, actor, owner, app_id, Right.LOOK_INSIDE))
    return [
        overview.CommitObject(id=each.id, subject=each.subject, author=each.author, at=each.at)
        for each in await ctx.apps.repositories.commits(app.id, limit=limit)
    ]


@router.post(APP + "/instances")
async def redeploy(
    ctx: Ctx,
    actor: Caller,
    owner: OwnerParam,
    app_id: str,
    request: Request,
    commit: str | None = None,
    useCache: str | None = None,
) -> models.Message:
    def work(tx: Tx) -> str:
        app = ctx.apps.intents.find(tx, actor, owner, app_id, Right.WRITE)
        use = useCache not in ("no", "false")
        made = ctx.apps.intents.redeploy(tx, actor, app.owner_id, app_id, commit=commit, use_cache=use)
        record(tx, actor, "application.redeploy", owner_id=app.owner_id, subject=app_id, request=request)
        return made.id

    id = await ctx.write(work)
    return models.Message(id=302, message="The application is being deployed", type="success", deploymentId=id)


@router.delete(APP + "/instances")
async def stop(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, request: Request) -> models.Message:
    def work(tx: Tx) -> str:
        app = ctx.apps.intents.find(tx, actor, owner, app_id, Right.WRITE)
        made = ctx.apps.intents.stop(tx, actor, app.owner_id, app_id)
        record(tx, actor, "application.stop", owner_id=app.owner_id, subject=app_id, request=request)
        return made.id

    id = await ctx.write(work)
    return models.Message(id=301, message="The application is being stopped", type="success", deploymentId=id)
