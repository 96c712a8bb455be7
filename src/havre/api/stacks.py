"""Stacks, for operators: which there are, what is in one, and running apps moved to today's packages."""

from __future__ import annotations

import anyio.to_thread
from fastapi import APIRouter, Request

from havre.api.context import Caller, Ctx, record
from havre.apps import Deployment, Move, StackUse
from havre.kernel.store import Tx
from havre.wire import models

router = APIRouter(prefix="/v2/havre/stacks", tags=["operator"])


@router.get("")
async def stacks(ctx: Ctx, actor: Caller) -> models.StackList:
    look = await anyio.to_thread.run_sync(ctx.apps.stacks.all)
    found = await ctx.read(lambda conn: look(conn, actor))
    return models.StackList(available=ctx.apps.stacks.are_there, stacks=[_stack(each) for each in found])


@router.get("/{id}")
async def stack(ctx: Ctx, actor: Caller, id: str) -> models.StackObject:
    look = await anyio.to_thread.run_sync(ctx.apps.stacks.one, id)
    found = await ctx.read(lambda conn: look(conn, actor))
    packages = [models.PackageObject(name=each.name, version=each.version) for each in found.stack.closure.packages]
    return _stack(found).model_copy(update={"packages": packages})


@router.post("/upgrades", status_code=202)
async def upgrade(ctx: Ctx, actor: Caller, given: models.UpgradeRequest, request: Request) -> models.UpgradeStatus:
    """Move apps to the stack of today's packages; what becomes of it is read with the id."""

    def work(tx: Tx) -> models.UpgradeStatus:
        id = ctx.apps.upgrades.ask(tx, actor, given.apps, all_of_them=given.all)
        record(tx, actor, "stacks.upgrade", owner_id=None, subject=", ".join(given.apps) or "all", request=request)
        return models.UpgradeStatus(id=id, status="running", error="", moves=[])

    return await ctx.write(work)


@router.get("/upgrades/{id}")
async def upgrade_status(ctx: Ctx, actor: Caller, id: str) -> models.UpgradeStatus:
    found = await ctx.read(lambda conn: ctx.apps.upgrades.view(conn, actor, id))
    moves = [_move(move, deployment) for move, deployment in found.moves]
    return models.UpgradeStatus(id=found.id, status=found.status, error=found.error, moves=moves)


def _stack(use: StackUse) -> models.StackObject:
    stack = use.stack
    return models.StackObject(
        id=stack.id,
        asked=list(stack.asked),
        packageCount=len(stack.closure.packages),
        bytes=stack.bytes,
        madeAt=stack.made_at,
        usedAt=stack.used_at,
        needed=use.is_needed,
        apps=[models.StackApp(id=each.id, name=each.name) for each in use.apps],
    )


def _move(move: Move, deployment: Deployment | None) -> models.UpgradeMove:
    return models.UpgradeMove(
        app=models.StackApp(id=move.app_id, name=move.app_name),
        old=move.old,
        new=move.new,
        changes=list(move.changes),
        rebuilds=move.rebuilds,
        problem=move.problem,
        deployment=deployment.id if deployment is not None else None,
        state=deployment.state if deployment is not None else None,
    )
