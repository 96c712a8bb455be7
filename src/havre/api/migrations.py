"""Migrations of origins, for operators: begun, confirmed, paused, taken back, and the proof of what became of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, Request

from havre import network
from havre.api.context import Caller, Context, Ctx, record
from havre.governance import Actor
from havre.kernel.store import Tx
from havre.wire import network as wire

router = APIRouter(prefix="/v2/havre/network/migrations", tags=["operator"])


@router.get("")
async def migrations(ctx: Ctx, actor: Caller) -> list[wire.MigrationObject]:
    found = await ctx.read(lambda conn: network.migrations(conn, actor))
    return [wire.MigrationObject(**_facts(each)) for each in found]


@router.post("", status_code=201)
async def begin(ctx: Ctx, actor: Caller, given: wire.MigrationRequest, request: Request) -> wire.MigrationDetail:
    """Write a migration down; it is on its way from then on."""
    work = partial(network.begin, actor=actor, id=given.id, content=given.intent, goal=given.goal)
    return await _changed(ctx, actor, given.id, "begin", request, work)


@router.get("/{id}")
async def migration(ctx: Ctx, actor: Caller, id: str) -> wire.MigrationDetail:
    return await _detail(ctx, actor, id)


@router.get("/{id}/proof")
async def proof(ctx: Ctx, actor: Caller, id: str) -> wire.Told:
    return wire.Told(text=await ctx.read(lambda conn: network.proof_of(conn, actor, id)))


@router.post("/{id}/confirmations")
async def confirm(ctx: Ctx, actor: Caller, id: str, given: wire.Confirmation, request: Request) -> wire.MigrationDetail:
    """A person says that an upstream's filters have us, or that the registries do."""
    work = partial(network.confirm, actor=actor, id=id, what=given.what, words=given.words)
    return await _changed(ctx, actor, id, "confirm", request, work)


@router.post("/{id}/pause")
async def pause(ctx: Ctx, actor: Caller, id: str, request: Request) -> wire.MigrationDetail:
    return await _changed(ctx, actor, id, "pause", request, partial(network.pause, actor=actor, id=id))


@router.post("/{id}/resume")
async def resume(ctx: Ctx, actor: Caller, id: str, given: wire.Goal, request: Request) -> wire.MigrationDetail:
    work = partial(network.resume, actor=actor, id=id, goal=given.goal)
    return await _changed(ctx, actor, id, "resume", request, work)


@router.post("/{id}/revert", status_code=202)
async def revert(ctx: Ctx, actor: Caller, id: str, request: Request) -> wire.Told:
    """Back by one stage; what is under way is taken back instead."""

    def work(tx: Tx) -> str:
        said = network.revert(tx, actor, ctx.kernel, id=id)
        record(tx, actor, "network.migration.revert", owner_id=None, subject=id, request=request)
        return said

    return wire.Told(text=await ctx.write(work))


async def _changed(
    ctx: Context, actor: Actor, id: str, what: str, request: Request, work: Callable[[Tx], None]
) -> wire.MigrationDetail:
    def write(tx: Tx) -> None:
        work(tx)
        record(tx, actor, f"network.migration.{what}", owner_id=None, subject=id, request=request)

    await ctx.write(write)
    return await _detail(ctx, actor, id)


async def _detail(ctx: Context, actor: Actor, id: str) -> wire.MigrationDetail:
    found, story = await ctx.read(lambda conn: network.migration(conn, actor, id))
    told = [
        wire.EvidenceObject(at=each.at, stage=each.stage, kind=each.kind, words=each.words, facts=each.facts)
        for each in story
    ]
    return wire.MigrationDetail(**_facts(found), evidence=told)


def _facts(found: network.Migration) -> dict[str, Any]:
    return {
        "id": found.id,
        "stage": found.stage,
        "goal": found.goal,
        "paused": found.is_paused,
        "note": found.note,
        "createdAt": found.created_at,
        "changedAt": found.changed_at,
    }
