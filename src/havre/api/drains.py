"""Drains of an app's logs."""

from __future__ import annotations

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from havre import observe
from havre.api.app_route import found
from havre.api.context import Caller, Context, Ctx, OwnerParam, record
from havre.api.streams import iso
from havre.apps import App
from havre.base.errors import HavreError
from havre.governance import Actor, Right
from havre.kernel.store import Tx
from havre.observe import Drain, DrainState
from havre.wire import hooks

router = APIRouter(tags=["drains"])
ADDRESSES = tuple(
    f"/v4/drains/organisations/{{owner_id}}/{kind}/{{app_id}}/drains" for kind in ("resources", "applications")
)
ALL, ONE = "", "/{id}"
HIDDEN = frozenset({"password", "apiKey", "sourceToken"})


async def _shown(ctx: Context, drain: Drain, state: DrainState) -> hooks.DrainObject:
    waits = await observe.drain_backlog(ctx.kernel, drain.app_id, state)
    running = state.execution if drain.is_enabled else "NOT_RUNNING"
    recipient = {name: value for name, value in drain.recipient.items() if name not in HIDDEN}
    return hooks.DrainObject(
        id=drain.id,
        tenantId=drain.owner_id,
        resourceId=drain.app_id,
        kind=drain.kind,
        recipient=recipient,
        status=hooks.DrainStatus(
            id=f"{drain.id}_{drain.changed_at}",
            drainId=drain.id,
            status="ENABLED" if drain.is_enabled else "DISABLED",
            date=iso(drain.changed_at),
            authorId=drain.author_id,
        ),
        execution=hooks.DrainExecution(
            status=running,
            lastError=state.error or None,
            attempt=state.tries or None,
            lastAttemptAt=_moment(state.tried_at),
            nextAttemptAt=_moment(state.next_at),
            retryingSince=_moment(state.failing_since),
        ),
        backlog=hooks.DrainBacklog(msgBacklog=waits),
    )


def _moment(at: int | None) -> str | None:
    return iso(at) if at is not None else None


def _one(conn: sa.Connection, actor: Actor, owner: str, app_id: str, id: str, right: Right) -> tuple[Drain, DrainState]:
    return observe.drains.find(conn, found(conn, actor, owner, app_id, right).id, id)


@router.get(ALL)
async def drains(
    ctx: Ctx,
    actor: Caller,
    owner: OwnerParam,
    app_id: str,
    status: str | None = None,
    executionStatus: str | None = None,
) -> list[hooks.DrainObject]:
    def look(conn: sa.Connection) -> list[tuple[Drain, DrainState]]:
        return observe.drains.of_app(conn, found(conn, actor, owner, app_id, Right.LOOK_INSIDE).id)

    shown = [await _shown(ctx, *each) for each in await ctx.read(look)]
    shown = [each for each in shown if status in (None, each.status.status)]
    return [each for each in shown if executionStatus in (None, each.execution.status)]


@router.post(ALL)
async def create(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, given: hooks.NewDrain, request: Request
) -> hooks.DrainObject:
    app: App = await ctx.read(lambda conn: found(conn, actor, owner, app_id, Right.WRITE))
    recipient = observe.drains.check_recipient(given.recipient)
    head = await observe.log_head(ctx.kernel)

    def work(tx: Tx) -> tuple[Drain, DrainState]:
        found(tx.conn, actor, owner, app_id, Right.WRITE)
        made = observe.drains.create(
            tx,
            app_id=app.id,
            owner_id=app.owner_id,
            author_id=actor.user_id,
            kind=given.kind,
            recipient=recipient,
            after=head,
        )
        subject = f"{app.id} {made.id}"
        record(tx, actor, "drain.create", owner_id=app.owner_id, subject=subject, request=request)
        return observe.drains.find(tx.conn, app.id, made.id)

    return await _shown(ctx, *await ctx.write(work))


@router.get(ONE)
async def one(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, id: str) -> hooks.DrainObject:
    return await _shown(ctx, *await ctx.read(lambda conn: _one(conn, actor, owner, app_id, id, Right.LOOK_INSIDE)))


@router.delete(ONE, status_code=204)
async def delete(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, id: str, request: Request) -> Response:
    def work(tx: Tx) -> None:
        drain, _ = _one(tx.conn, actor, owner, app_id, id, Right.WRITE)
        observe.drains.remove(tx, app_id=drain.app_id, id=id, author_id=actor.user_id)
        subject = f"{drain.app_id} {id}"
        record(tx, actor, "drain.delete", owner_id=drain.owner_id, subject=subject, request=request)

    await ctx.write(work)
    return Response(status_code=204)


@router.put(ONE + "/enable")
async def enable(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, id: str, request: Request
) -> hooks.DrainObject:
    await ctx.write(lambda tx: _switch(tx, actor, owner, app_id, id, request, is_on=True))
    return await one(ctx, actor, owner, app_id, id)


@router.put(ONE + "/disable")
async def disable(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, id: str, request: Request
) -> hooks.DrainObject:
    await ctx.write(lambda tx: _switch(tx, actor, owner, app_id, id, request, is_on=False))
    return await one(ctx, actor, owner, app_id, id)


def _switch(tx: Tx, actor: Actor, owner: str, app_id: str, id: str, request: Request, *, is_on: bool) -> None:
    drain, _ = _one(tx.conn, actor, owner, app_id, id, Right.WRITE)
    observe.drains.set_enabled(tx, app_id=drain.app_id, id=id, is_on=is_on, author_id=actor.user_id)
    action, subject = f"drain.{'enable' if is_on else 'disable'}", f"{drain.app_id} {id}"
    record(tx, actor, action, owner_id=drain.owner_id, subject=subject, request=request)


@router.post(ONE + "/check")
async def check(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, id: str, request: Request) -> hooks.DrainCheck:
    """Send one line of the platform's own to the recipient now."""

    def note(tx: Tx) -> Drain:
        drain, _ = _one(tx.conn, actor, owner, app_id, id, Right.WRITE)
        subject = f"{drain.app_id} {id}"
        record(tx, actor, "drain.check", owner_id=drain.owner_id, subject=subject, request=request)
        return drain

    drain = await ctx.write(note)
    try:
        await observe.check_drain(ctx.kernel, drain)
    except HavreError as error:
        return hooks.DrainCheck(ok=False, message=error.message)
    return hooks.DrainCheck(ok=True, message="The recipient has taken a line")
