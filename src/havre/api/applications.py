"""Applications, their variables, domains, deployments and instances."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request

from havre import edge
from havre.api import render
from havre.api.context import Caller, Context, Ctx, OwnerParam, record
from havre.apps import App, NewApp, runtimes, views
from havre.base.errors import InvalidError
from havre.governance import Actor, Right
from havre.kernel.store import Tx
from havre.wire import models

router = APIRouter(tags=["applications"])
APP = "/applications/{app_id}"


def _found(conn: sa.Connection, actor: Actor, owner: str, app_id: str) -> App:
    """`/v2/self/applications/{id}` finds an app in any organisation of the caller."""
    return views.app(conn, actor, None if owner == "self" else owner, app_id)


def _shown(ctx: Context, conn: sa.Connection, app: App) -> models.Application:
    env = views.env_of(conn, app)
    return render.application(app, edge.vhosts(conn, app.id), env, ctx.kernel.config)


@router.get("/applications")
async def applications(ctx: Ctx, actor: Caller, owner: OwnerParam) -> list[models.Application]:
    return await ctx.read(lambda conn: [_shown(ctx, conn, each) for each in views.apps_of(conn, actor, owner)])


@router.post("/applications")
async def create(
    ctx: Ctx, actor: Caller, owner: OwnerParam, given: models.NewApplication, request: Request
) -> models.Application:
    runtime = _runtime(given)

    def work(tx: Tx) -> models.Application:
        new = NewApp(
            name=given.name,
            runtime=runtime,
            description=given.description or given.name,
            zone=given.zone or "par",
            min_instances=given.minInstances,
            max_instances=given.maxInstances,
            min_flavor=given.minFlavor,
            max_flavor=given.maxFlavor,
            build_flavor=given.buildFlavor or "S",
            separate_build=given.separateBuild,
            lifetime=given.instanceLifetime,
            branch=given.branch or "master",
        )
        app = ctx.apps.intents.create(tx, actor, owner, new)
        if given.env:
            ctx.apps.intents.set_env(tx, actor, app.owner_id, app.id, given.env)
        record(tx, actor, "application.create", owner_id=app.owner_id, subject=app.id, request=request)
        return _shown(ctx, tx.conn, app)

    made = await ctx.write(work)
    await edge.reconcile_now(ctx.kernel, made.id)
    return made


def _runtime(given: models.NewApplication) -> str:
    for runtime in runtimes.RUNTIMES.values():
        if given.instanceVariant == runtime.variant_id or (
            given.instanceVariant is None and given.instanceType == runtime.type
        ):
            return runtime.slug
    return runtimes.of(given.instanceType).slug


@router.get(APP)
async def application(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> models.Application:
    return await ctx.read(lambda conn: _shown(ctx, conn, _found(conn, actor, owner, app_id)))


@router.put(APP)
async def update(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, given: models.ApplicationChanges, request: Request
) -> models.Application:
    if given.instanceLifetime not in (None, "REGULAR", "TASK"):
        raise InvalidError("instanceLifetime is REGULAR or TASK")
    changes: dict[str, Any] = {
        "name": given.name,
        "description": given.description,
        "min_instances": given.minInstances,
        "max_instances": given.maxInstances,
        "min_flavor": _flavor_name(given.minFlavor),
        "max_flavor": _flavor_name(given.maxFlavor),
        "build_flavor": _flavor_name(given.buildFlavor) or None,
        "separate_build": given.separateBuild,
        "lifetime": given.instanceLifetime,
        "sticky_sessions": given.stickySessions,
        "homogeneous": given.homogeneous,
        "cancel_on_push": given.cancelOnPush,
        "force_https": None if given.forceHttps is None else given.forceHttps == "ENABLED",
    }

    def work(tx: Tx) -> models.Application:
        app = ctx.apps.intents.update(tx, actor, owner, app_id, changes)
        record(tx, actor, "application.update", owner_id=app.owner_id, subject=app_id, request=request)
        return _shown(ctx, tx.conn, app)

    return await ctx.write(work)


def _flavor_name(given: str | dict[str, Any] | None) -> str | None:
    return str(given.get("name", "")) or None if isinstance(given, dict) else given


@router.delete(APP)
async def delete(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, request: Request) -> models.Message:
    def work(tx: Tx) -> None:
        app = ctx.apps.intents.delete(tx, actor, owner, app_id)
        record(tx, actor, "application.delete", owner_id=app.owner_id, subject=app_id, request=request)

    await ctx.write(work)
    return models.Message(id=357, message="The application has been deleted", type="success")


# variables


@router.get(APP + "/env")
async def env(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> list[models.Variable]:
    def look(conn: sa.Connection) -> list[models.Variable]:
        app = _found(conn, actor, owner, app_id)
        return render.variables(views.env(conn, actor, app.owner_id, app_id))

    return await ctx.read(look)


@router.put(APP + "/env")
async def set_env(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, given: dict[str, str], request: Request
) -> models.Application:
    def work(tx: Tx) -> models.Application:
        app = ctx.apps.intents.set_env(tx, actor, owner, app_id, given)
        record(tx, actor, "env.set", owner_id=app.owner_id, subject=app_id, request=request)
        return _shown(ctx, tx.conn, app)

    return await ctx.write(work)


@router.put(APP + "/env/{name}")
async def put_env(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, name: str, given: models.Value, request: Request
) -> models.Application:
    def work(tx: Tx) -> models.Application:
        app = ctx.apps.intents.put_env(tx, actor, owner, app_id, name, given.value)
        record(tx, actor, "env.put", owner_id=app.owner_id, subject=f"{app_id} {name}", request=request)
        return _shown(ctx, tx.conn, app)

    return await ctx.write(work)


@router.delete(APP + "/env/{name}")
async def drop_env(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, name: str, request: Request
) -> models.Application:
    def work(tx: Tx) -> models.Application:
        app = ctx.apps.intents.drop_env(tx, actor, owner, app_id, name)
        record(tx, actor, "env.drop", owner_id=app.owner_id, subject=f"{app_id} {name}", request=request)
        return _shown(ctx, tx.conn, app)

    return await ctx.write(work)


@router.get(APP + "/addons/env")
@router.get(APP + "/dependencies/env")
@router.get(APP + "/addons")
@router.get(APP + "/dependencies")
async def nothing_linked(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> list[Any]:
    """Nothing can be linked to an app yet."""
    await ctx.read(lambda conn: _found(conn, actor, owner, app_id))
    return []


@router.get(APP + "/exposed_env")
async def exposed_env(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> dict[str, str]:
    await ctx.read(lambda conn: _found(conn, actor, owner, app_id))
    return {}


# deployments and instances


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
        app = _found(conn, actor, owner, app_id)
        found = views.deployments(conn, app, limit=min(limit or 1000, 1000), offset=offset, action=action)
        return [render.deployment(each) for each in found]

    return await ctx.read(look)


@router.get(APP + "/deployments/{deployment_id}")
async def deployment(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, deployment_id: str
) -> models.DeploymentObject:
    def look(conn: sa.Connection) -> models.DeploymentObject:
        return render.deployment(views.deployment(conn, _found(conn, actor, owner, app_id), deployment_id))

    return await ctx.read(look)


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
        app = _found(conn, actor, owner, app_id)
        return [
            render.instance(each.instance, each.deployment)
            for each in views.instances(conn, app, with_deleted=withDeleted)
        ]

    return await ctx.read(look)


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
