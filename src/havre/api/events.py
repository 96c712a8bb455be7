"""The events WebSocket that `clever activity --follow` listens to."""

from __future__ import annotations

import json
from typing import Any

import anyio
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from havre import governance
from havre.api.context import Context
from havre.base.errors import HavreError
from havre.governance import Actor
from havre.kernel.events import Event

router = APIRouter()
HEARTBEAT_MS = 5000
SIGN_IN_S = 30
NAMES = {
    "apps.deployment.began": "DEPLOYMENT_ACTION_BEGIN",
    "apps.deployment.ended": "DEPLOYMENT_ACTION_END",
    "apps.app.created": "APPLICATION_CREATION",
    "apps.app.changed": "APPLICATION_EDITION",
    "apps.app.deleted": "APPLICATION_DELETION",
}


@router.websocket("/v2/events/event-socket")
async def event_socket(socket: WebSocket) -> None:
    """First the client signs in with a message; then events of its organisations, and a ping every five seconds."""
    ctx: Context = socket.app.state.context
    await socket.accept()
    try:
        await socket.send_json({"message_type": "socket_ready"})
        actor = await _sign_in(ctx, socket)
        if actor is not None:
            await _deliver(ctx, socket, actor)
    except (WebSocketDisconnect, anyio.BrokenResourceError, RuntimeError):
        return


async def _sign_in(ctx: Context, socket: WebSocket) -> Actor | None:
    with anyio.move_on_after(SIGN_IN_S):
        try:
            said = json.loads(await socket.receive_text())
            header = str(said["authorization"])
            url = ctx.kernel.config.origin + "/v2/events/event-socket"
            now = ctx.kernel.clock.now()
            return await ctx.read(
                lambda conn: governance.authenticate_oauth(conn, header, method="GET", url=url, now=now)
            )
        except (ValueError, KeyError, TypeError, HavreError):
            await socket.send_json({"type": "error", "id": 2001, "message": "the credentials are not valid"})
    await socket.close()
    return None


async def _deliver(ctx: Context, socket: WebSocket, actor: Actor) -> None:
    owners = await ctx.read(lambda conn: {each.id for each in governance.owners_of(conn, actor)})
    async with ctx.kernel.bus.subscribe("apps.") as events, anyio.create_task_group() as group:

        async def ping() -> None:
            while True:
                ping = {"type": "heartbeat", "heartbeat_msg": "ping", "heartbeat_delay_ms": HEARTBEAT_MS}
                await socket.send_json(ping)
                await ctx.kernel.clock.sleep(HEARTBEAT_MS / 1000)

        async def listen() -> None:
            try:
                while True:
                    await socket.receive_text()
            except (WebSocketDisconnect, RuntimeError):
                group.cancel_scope.cancel()

        group.start_soon(ping)
        group.start_soon(listen)
        async for event in events:
            if event.owner_id in owners and event.name in NAMES:
                await socket.send_json(_shown(event))


def _shown(event: Event) -> dict[str, Any]:
    data: dict[str, Any] = {"id": event.subject, "appId": event.subject, "authorId": event.actor_id}
    if event.name.startswith("apps.deployment."):
        data |= {"uuid": event.facts["deployment"], "date": event.at}
        data |= {name: event.facts[name] for name in ("state", "action", "commit", "cause")}
    shown = {"event": NAMES[event.name], "date": event.at, "authorId": event.actor_id or ""}
    return shown | {"data": json.dumps(data)}
