"""What a page shows at a glance: an organisation with its apps, how far a deployment is, what instances use."""

from __future__ import annotations

import sqlalchemy as sa
from fastapi import APIRouter

from havre import edge, governance
from havre.api import render
from havre.api.app_route import APP, found
from havre.api.context import Caller, Context, Ctx, OwnerParam, shown_fqdn
from havre.apps import Deployment, Instance, glances, pretty_name, runtimes, views
from havre.base.flavors import flavor
from havre.base.ids import OperationId, UnitId
from havre.governance import Actor, Right
from havre.wire import overview

router = APIRouter(tags=["overviews"])
of_an_app = APIRouter(tags=["overviews"])


@router.get("/v2/organisations/{owner_id}/overview")
async def organisation(ctx: Ctx, actor: Caller, owner: OwnerParam) -> overview.Overview:
    """The organisation, what the caller may do there, and the state of each app."""

    def look(conn: sa.Connection) -> overview.Overview:
        seen = governance.authorise(conn, actor, owner, Right.READ)
        urls = edge.main_fqdns(conn, seen.id)
        return overview.Overview(
            id=seen.id,
            name=seen.name,
            role=seen.role,
            isPersonal=seen.is_personal,
            can=sorted(right for right in Right if governance.can(actor, seen, right)),
            applications=[_glance(ctx, each, urls.get(each.app.id)) for each in glances.glances(conn, seen.id)],
        )

    return await ctx.read(look)


def _glance(ctx: Context, each: glances.Glance, fqdn: str | None) -> overview.Glance:
    app, runtime = each.app, runtimes.of(each.app.runtime)
    return overview.Glance(
        id=app.id,
        name=app.name,
        kind=runtime.slug,
        kindName=runtime.name,
        state=app.state,
        condition=each.condition,
        instances=dict(each.running),
        booting=dict(each.booting),
        commit=app.commit_id,
        branch=app.branch,
        url=f"https://{shown_fqdn(fqdn, ctx.kernel.config)}" if fqdn else None,
        tags=list(each.tags),
        deployment=_last(each.last) if each.last else None,
        deployedAt=app.deployed_at,
        createdAt=app.created_at,
    )


def _last(each: Deployment) -> overview.LastDeployment:
    return overview.LastDeployment(
        id=each.id,
        number=each.number,
        state=each.state,
        action=each.action,
        commit=each.commit_id or None,
        author=each.author_name,
        cause=each.cause,
        startedAt=each.created_at,
        endedAt=each.ended_at,
        error=each.error,
    )


@of_an_app.get(APP + "/deployments/{deployment_id}/progress")
async def progress(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, deployment_id: str) -> overview.Progress:
    """The steps of a deployment, with how long each took; those to come too."""

    def look(conn: sa.Connection) -> overview.Progress:
        made = views.deployment(conn, found(conn, actor, owner, app_id), deployment_id)
        operations = ctx.kernel.operations
        seen = operations.view(conn, OperationId(made.operation_id)) if made.operation_id else None
        return overview.Progress(
            **_last(made).model_dump(),
            note=seen.progress if seen is not None and made.ended_at is None else "",
            steps=render.steps(seen, operations.steps_of(seen.kind)) if seen is not None else [],
        )

    return await ctx.read(look)


@of_an_app.get(APP + "/usage")
async def usage(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> list[overview.Usage]:
    """What the instances of an app use right now."""
    return await used_by(ctx, actor, owner, app_id)


async def used_by(ctx: Context, actor: Actor, owner: str, app_id: str) -> list[overview.Usage]:
    rows = await ctx.read(
        lambda conn: [each.instance for each in views.instances(conn, found(conn, actor, owner, app_id))]
    )
    return [await _usage(ctx, each) for each in rows]


async def _usage(ctx: Context, each: Instance) -> overview.Usage:
    unit = await ctx.kernel.units.get(UnitId(each.id))
    used = await ctx.kernel.units.usage(UnitId(each.id)) if unit is not None and unit.state == "running" else None
    return overview.Usage(
        id=each.id,
        name=pretty_name(each.id),
        flavor=each.flavor,
        number=each.number,
        state=each.state,
        since=each.created_at,
        memoryBytes=used.memory_bytes if used is not None else None,
        memoryLimitBytes=flavor(each.flavor).memory_bytes,
        cpuMs=used.cpu_ms if used is not None else None,
        inFlight=unit.in_flight if unit is not None else 0,
    )
