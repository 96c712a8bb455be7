"""Applications: made, shown, changed, deleted."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from havre import edge
from havre.api.app_route import APP, found, shown
from havre.api.context import Caller, Ctx, OwnerParam, record
from havre.apps import NewApp, runtimes, views
from havre.base.errors import InvalidError
from havre.kernel.store import Tx
from havre.wire import models

router = APIRouter(tags=["applications"])


@router.get("/applications")
async def applications(ctx: Ctx, actor: Caller, owner: OwnerParam) -> list[models.Application]:
    return await ctx.read(lambda conn: [shown(ctx, conn, actor, each) for each in views.apps_of(conn, actor, owner)])


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
        return shown(ctx, tx.conn, actor, app)

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
    return await ctx.read(lambda conn: shown(ctx, conn, actor, found(conn, actor, owner, app_id)))


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
        "branch": given.branch,
    }

    def work(tx: Tx) -> models.Application:
        app = ctx.apps.intents.update(tx, actor, owner, app_id, changes)
        record(tx, actor, "application.update", owner_id=app.owner_id, subject=app_id, request=request)
        return shown(ctx, tx.conn, actor, app)

    return await ctx.write(work)


def _flavor_name(given: str | dict[str, Any] | None) -> str | None:
    return str(given.get("name", "")) or None if isinstance(given, dict) else given


@router.put(APP + "/branch")
async def set_branch(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, given: models.Branch, request: Request
) -> models.Message:
    """The branch that is deployed: a push names it by this name or, as the stock command line does, `master`."""

    def work(tx: Tx) -> None:
        app = ctx.apps.intents.update(tx, actor, owner, app_id, {"branch": given.branch})
        record(tx, actor, "application.update", owner_id=app.owner_id, subject=app_id, request=request)

    await ctx.write(work)
    return models.Message(id=304, message="The branch has been changed", type="success")


@router.delete(APP)
async def delete(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, request: Request) -> models.Message:
    def work(tx: Tx) -> None:
        app = ctx.apps.intents.delete(tx, actor, owner, app_id)
        record(tx, actor, "application.delete", owner_id=app.owner_id, subject=app_id, request=request)

    await ctx.write(work)
    return models.Message(id=357, message="The application has been deleted", type="success")
