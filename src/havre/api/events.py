"""The events WebSocket that `clever activity --follow` listens to."""

from __future__ import annotations

import json

import anyio
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from havre import governance, notifications
from havre.api.context import COOKIE, Context, signer
from havre.base.errors import HavreError
from havre.governance import Actor
from havre.governance.signatures import Asked

router = APIRouter()
HEARTBEAT_MS = 5000
SIGN_IN_S = 30
ROOMS = ("apps.app.", "apps.deployment.", "governance.")


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
    """By a signature or an API token in the first message; a page of the console by its cookie."""
    with anyio.move_on_after(SIGN_IN_S):
        try:
            now, cookie = ctx.kernel.clock.now(), socket.cookies.get(COOKIE, "")
            if cookie and socket.headers.get("origin") == ctx.kernel.config.origin:
                return await ctx.read(lambda conn: governance.authenticate_session(conn, cookie, now=now))
            said = json.loads(await socket.receive_text())
            header = str(said["authorization"])
            if header.lower().startswith("bearer "):
                return await ctx.read(lambda conn: governance.authenticate_bearer(conn, header[7:].strip(), now=now))
            url = ctx.kernel.config.origin + "/v2/events/event-socket"
            return await signer(ctx, Asked(header, "GET", url))
        except (ValueError, KeyError, TypeError, HavreError):
            await socket.send_json({"type": "error", "id": 2001, "message": "the credentials are not valid"})
    await socket.close()
    return None


async def _deliver(ctx: Context, socket: WebSocket, actor: Actor) -> None:
    owners = await _owners(ctx, actor)
    async with ctx.kernel.bus.subscribe(*ROOMS) as events, anyio.create_task_group() as group:

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
            if event.name.startswith("governance."):
                owners = await _owners(ctx, actor)  # membership may have changed
            for public in notifications.public_events(event) if event.owner_id in owners else ():
                await socket.send_json(notifications.raw(public))


async def _owners(ctx: Context, actor: Actor) -> set[str]:
    """Whose events the caller may hear: their organisations'."""
    if actor.grants is not None and governance.Grant.ACCESS_ORGANISATIONS not in actor.grants:
        return set()
    return await ctx.read(lambda conn: {str(each.id) for each in governance.owners_of(conn, actor)})
