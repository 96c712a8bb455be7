"""What links an app: dependencies, the configuration that it publishes, add-ons, tags."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request

from havre.api.app_route import APP, found, shown
from havre.api.context import Caller, Ctx, OwnerParam, record
from havre.api.render import variables
from havre.apps import linked
from havre.governance import Right
from havre.kernel.store import Tx
from havre.wire import models

router = APIRouter(tags=["applications"])


@router.get(APP + "/addons/env")
@router.get(APP + "/addons")
async def linked_addons(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> list[Any]:
    """No managed service is offered yet."""
    await ctx.read(lambda conn: found(conn, actor, owner, app_id))
    return []


@router.get(APP + "/dependencies")
async def dependencies(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> list[models.Application]:
    def look(conn: sa.Connection) -> list[models.Application]:
        app = found(conn, actor, owner, app_id)
        return [shown(ctx, conn, actor, each) for each in linked.dependencies(conn, app)]

    return await ctx.read(look)


@router.get(APP + "/dependents")
async def dependents(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> list[models.Application]:
    """The applications that need this one: the reverse of their dependencies."""

    def look(conn: sa.Connection) -> list[models.Application]:
        app = found(conn, actor, owner, app_id)
        return [shown(ctx, conn, actor, each) for each in linked.dependents(conn, app)]

    return await ctx.read(look)


@router.get(APP + "/dependencies/env")
async def dependencies_env(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> list[models.LinkedEnv]:
    def look(conn: sa.Connection) -> list[models.LinkedEnv]:
        app = found(conn, actor, owner, app_id, Right.LOOK_INSIDE)
        return [
            models.LinkedEnv(app_id=each.id, app_name=each.name, env=variables(env))
            for each, env in linked.dependencies_env(conn, app)
        ]

    return await ctx.read(look)


@router.put(APP + "/dependencies/{dependency_id}")
async def link(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, dependency_id: str, request: Request
) -> models.Message:
    def work(tx: Tx) -> str:
        app = found(tx.conn, actor, owner, app_id, Right.WRITE)
        other = linked.link(tx, app, dependency_id, actor_id=actor.user_id)
        record(tx, actor, "dependency.add", owner_id=app.owner_id, subject=f"{app_id} {other.id}", request=request)
        return other.name

    name = await ctx.write(work)
    return models.Message(id=333, message=f"{name} has been linked", type="success")


@router.delete(APP + "/dependencies/{dependency_id}")
async def unlink(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, dependency_id: str, request: Request
) -> models.Message:
    def work(tx: Tx) -> None:
        app = found(tx.conn, actor, owner, app_id, Right.WRITE)
        linked.unlink(tx, app, dependency_id, actor_id=actor.user_id)
        record(
            tx, actor, "dependency.drop", owner_id=app.owner_id, subject=f"{app_id} {dependency_id}", request=request
        )

    await ctx.write(work)
    return models.Message(id=334, message="The application has been unlinked", type="success")


@router.get(APP + "/exposed_env")
async def published(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> dict[str, str]:
    return await ctx.read(lambda conn: linked.published(conn, found(conn, actor, owner, app_id, Right.LOOK_INSIDE)))


@router.put(APP + "/exposed_env")
async def publish(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, given: dict[str, str], request: Request
) -> models.Message:
    def work(tx: Tx) -> None:
        app = found(tx.conn, actor, owner, app_id, Right.WRITE)
        ctx.apps.intents.publish(tx, actor, app.owner_id, app_id, given)
        record(tx, actor, "config.publish", owner_id=app.owner_id, subject=app_id, request=request)

    await ctx.write(work)
    return models.Message(id=335, message="The published configuration has been saved", type="success")


@router.get(APP + "/tags")
async def tags(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> list[str]:
    return await ctx.read(lambda conn: linked.tags(conn, found(conn, actor, owner, app_id)))


@router.put(APP + "/tags")
async def set_tags(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, given: list[str], request: Request
) -> list[str]:
    """Replace all tags."""

    def work(tx: Tx) -> list[str]:
        app = found(tx.conn, actor, owner, app_id, Right.WRITE)
        record(tx, actor, "tags.set", owner_id=app.owner_id, subject=app_id, request=request)
        return linked.set_tags(tx, app, given, actor_id=actor.user_id)

    return await ctx.write(work)


@router.put(APP + "/tags/{tag}")
async def add_tag(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, tag: str, request: Request) -> list[str]:
    def work(tx: Tx) -> list[str]:
        app = found(tx.conn, actor, owner, app_id, Right.WRITE)
        record(tx, actor, "tag.add", owner_id=app.owner_id, subject=f"{app_id} {tag}", request=request)
        return linked.set_tags(tx, app, [*linked.tags(tx.conn, app), tag], actor_id=actor.user_id)

    return await ctx.write(work)


@router.delete(APP + "/tags/{tag}")
async def drop_tag(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, tag: str, request: Request) -> list[str]:
    def work(tx: Tx) -> list[str]:
        app = found(tx.conn, actor, owner, app_id, Right.WRITE)
        record(tx, actor, "tag.drop", owner_id=app.owner_id, subject=f"{app_id} {tag}", request=request)
        left = [each for each in linked.tags(tx.conn, app) if each != tag]
        return linked.set_tags(tx, app, left, actor_id=actor.user_id)

    return await ctx.write(work)
