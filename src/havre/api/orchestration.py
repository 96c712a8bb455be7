"""Deployments and instances as v4 of the contract has them, for its newer clients."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query

from havre.api.app_route import found
from havre.api.context import Caller, Ctx, OwnerParam
from havre.api.streams import iso, moment
from havre.apps import Deployment, Instance, pretty_name, views
from havre.base.errors import NotFoundError

router = APIRouter(tags=["orchestration"])
BASE = "/v4/orchestration/organisations/{owner_id}/applications/{app_id}"
STATES = {"WIP": "WORK_IN_PROGRESS", "OK": "SUCCEEDED", "FAIL": "FAILED", "CANCELLED": "CANCELLED"}


def _deployment(owner_id: str, each: Deployment) -> dict[str, Any]:
    state = STATES[each.state]
    steps = [
        {"state": "QUEUED", "date": iso(each.created_at)},
        {"state": "WORK_IN_PROGRESS", "date": iso(each.created_at)},
    ]
    if each.ended_at is not None:
        steps.append({"state": state, "date": iso(each.ended_at)})
    origin = {"action": each.action, "cause": each.cause, "source": "", "authorId": each.author_id}
    return {
        "id": each.id,
        "ownerId": owner_id,
        "applicationId": each.app_id,
        "startDate": iso(each.created_at),
        "state": state,
        "steps": steps,
        "version": {"commitId": each.commit_id or None},
        "origin": origin | {"constraints": [], "priority": "NORMAL"},
        "hasDedicatedBuild": False,
    }


def _instance(owner_id: str, each: Instance) -> dict[str, Any]:
    return {
        "id": each.id,
        "ownerId": owner_id,
        "applicationId": each.app_id,
        "deploymentId": each.deployment_id,
        "name": pretty_name(each.id),
        "flavor": each.flavor,
        "index": each.number,
        "state": each.state,
        "hypervisorId": "",
        "creationDate": iso(each.created_at),
        "deletionDate": iso(each.deleted_at) if each.deleted_at is not None else None,
        "network": {"ip": "127.0.0.1", "port": 8080},
        "isBuildVm": False,
    }


@router.get(BASE + "/deployments")
async def deployments(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, limit: Annotated[int, Query(ge=0, le=1000)] = 100
) -> list[dict[str, Any]]:
    def look(conn: sa.Connection) -> list[dict[str, Any]]:
        app = found(conn, actor, owner, app_id)
        return [_deployment(app.owner_id, each) for each in views.deployments(conn, app, limit=limit)]

    return await ctx.read(look)


@router.get(BASE + "/deployments/{deployment_id}")
async def deployment(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, deployment_id: str) -> dict[str, Any]:
    def look(conn: sa.Connection) -> dict[str, Any]:
        app = found(conn, actor, owner, app_id)
        return _deployment(app.owner_id, views.deployment(conn, app, deployment_id))

    return await ctx.read(look)


@router.get(BASE + "/instances")
async def instances(
    ctx: Ctx,
    actor: Caller,
    owner: OwnerParam,
    app_id: str,
    since: str | None = None,
    until: str | None = None,
    deploymentId: str | None = None,
    includeState: Annotated[list[str] | None, Query()] = None,
    excludeState: Annotated[list[str] | None, Query()] = None,
    order: str = "DESC",
    limit: Annotated[int, Query(ge=0, le=1000)] = 100,
) -> list[dict[str, Any]]:
    """Those that lived between `since` and `until` (ISO 8601)."""
    first, last = moment(since, "since"), moment(until, "until")

    def wanted(each: Instance) -> bool:
        lived = (first is None or each.deleted_at is None or each.deleted_at >= first) and (
            last is None or each.created_at <= last
        )
        states = each.state in (includeState or [each.state]) and each.state not in (excludeState or [])
        return lived and states and deploymentId in (None, each.deployment_id)

    def look(conn: sa.Connection) -> list[dict[str, Any]]:
        app = found(conn, actor, owner, app_id)
        all_of_it = [each.instance for each in views.instances(conn, app, with_deleted=first is not None)]
        rows = sorted(filter(wanted, all_of_it), key=lambda each: each.created_at, reverse=order != "ASC")
        return [_instance(app.owner_id, each) for each in rows[:limit]]

    return await ctx.read(look)


@router.get(BASE + "/instances/{instance_id}")
async def instance(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, instance_id: str) -> dict[str, Any]:
    def look(conn: sa.Connection) -> dict[str, Any]:
        app = found(conn, actor, owner, app_id)
        rows = [each.instance for each in views.instances(conn, app, with_deleted=True)]
        chosen = next((each for each in rows if each.id == instance_id), None)
        if chosen is None:
            raise NotFoundError("there is no such instance")
        return _instance(app.owner_id, chosen)

    return await ctx.read(look)
