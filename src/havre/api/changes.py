"""What changes, as it happens: one stream of server-sent events of everything that the caller may see.

Pages that show something look again when it is named here; nobody asks on a timer. Each event only says what changed,
never to what: who is told looks through the API, where it is authorised.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from havre import governance
from havre.api.context import Caller, Context, Ctx, authenticate
from havre.api.streams import HEADERS, event
from havre.apps import glances
from havre.base.errors import HavreError
from havre.governance import Actor
from havre.kernel.events import Event

router = APIRouter(tags=["changes"])
HEARTBEAT_S = 5.0
ROOMS = ("apps.", "edge.", "governance.", "kernel.operation.", "observe.drain.")
FACTS = ("deployment", "step", "state", "action", "commit", "cause", "fqdn", "port", "kind")


@router.get("/v2/havre/changes")
async def changes(
    ctx: Ctx, actor: Caller, request: Request, limit: Annotated[int | None, Query(ge=0, le=10**6)] = None
) -> StreamingResponse:
    """Server-sent events: CHANGE with the event's name, whose it is and what it is about; HEARTBEAT between."""
    governance.require_grant(actor, governance.Grant.ACCESS_ORGANISATIONS)
    stream = _stream(ctx, actor, request, limit)
    return StreamingResponse(stream, media_type="text/event-stream", headers=HEADERS)


async def _stream(ctx: Context, actor: Actor, request: Request, limit: int | None) -> AsyncIterator[bytes]:
    audience = _Audience(ctx, actor)
    await audience.learn()
    left = limit
    subscription = ctx.kernel.bus.subscribe(*ROOMS)
    events = await subscription.__aenter__()
    try:
        yield event("HEARTBEAT", {})
        while left is None or left > 0:
            found: Event | None = None
            with anyio.move_on_after(HEARTBEAT_S):
                found = await events.receive()
            if found is None:
                yield event("HEARTBEAT", {})
                continue
            if found.name.startswith("governance."):
                if not await is_still_welcome(ctx, request):
                    return
                await audience.learn()
            told = await audience.told(found)
            if told is not None:
                yield event("CHANGE", told)
                left = None if left is None else left - 1
    finally:
        await subscription.__aexit__(None, None, None)


async def is_still_welcome(ctx: Context, request: Request) -> bool:
    """A session that was ended hears nothing more. A signed request was welcome once, for as long as it lasts."""
    if request.headers.get("authorization"):
        return True
    try:
        await authenticate(ctx, request)
    except HavreError:
        return False
    return True


class _Audience:
    """What one caller may hear of."""

    def __init__(self, ctx: Context, actor: Actor) -> None:
        self._ctx = ctx
        self._actor = actor
        self._owners: set[str] = set()
        self._of_apps: dict[str, str | None] = {}

    async def learn(self) -> None:
        self._owners = await self._ctx.read(lambda conn: {str(o.id) for o in governance.owners_of(conn, self._actor)})

    async def told(self, found: Event) -> dict[str, Any] | None:
        """The event as this caller is told of it; None: it is none of theirs."""
        subject, owner_id = found.subject, found.owner_id
        if found.name.startswith("kernel.operation."):
            subject = str(found.facts.get("key") or "")
        if owner_id is None and subject and subject.startswith("app_"):
            owner_id = await self._owner_of(subject)
        is_mine = owner_id in self._owners or self._actor.user_id in (found.actor_id, subject)
        if not is_mine and not (found.name.startswith("kernel.operation.") and self._actor.is_operator):
            return None
        facts = {name: found.facts[name] for name in FACTS if name in found.facts} if is_mine else {}
        return {"name": found.name, "at": found.at, "ownerId": owner_id, "subject": subject, **facts}

    async def _owner_of(self, app_id: str) -> str | None:
        if self._of_apps.get(app_id) is None:
            self._of_apps[app_id] = await self._ctx.read(lambda conn: glances.owner_of(conn, app_id))
        return self._of_apps[app_id]
