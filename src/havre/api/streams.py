"""Logs and access logs as server-sent events, exactly as the CLI expects them.

A HEARTBEAT every two seconds (a client drops a stream that is silent for four); END_OF_STREAM only when the request was
bounded; a reconnect with `Last-Event-ID` goes on strictly after that event.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Annotated, Any

import anyio
import sqlalchemy as sa
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse

from havre import observe
from havre.api import errors
from havre.api.context import Context, actor_of, context
from havre.apps import App, views
from havre.base.errors import HavreError, InvalidError
from havre.governance import Right
from havre.observe import AccessQuery, AccessRecord, LogQuery, LogRecord

router = APIRouter(tags=["logs"])
HEARTBEAT_S = 2.0


def moment(text: str | None, name: str) -> int | None:
    """An ISO 8601 moment as ms. Raises InvalidError."""
    if not text:
        return None
    try:
        found = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as cause:
        raise InvalidError(f"{name} is not a moment such as 2026-01-31T12:00:00.000Z") from cause
    aware = found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
    return int(aware.timestamp() * 1000)


def iso(at: int) -> str:
    return datetime.datetime.fromtimestamp(at / 1000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}Z"


def event(name: str, data: dict[str, Any], id: str | None = None) -> bytes:
    head = f"event: {name}\n" + (f"id: {id}\n" if id else "")
    return f"{head}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def log_data(record: LogRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "applicationId": record.app_id,
        "commitId": record.commit,
        "deploymentId": record.deployment_id,
        "instanceId": record.instance_id,
        "date": iso(record.at),
        "message": record.message,
        "severity": record.severity,
        "priority": 14,
        "facility": "user",
        "service": record.service,
        "pid": 0,
        "version": 1,
        "zone": "par",
        "region": "par",
    }


def access_data(record: AccessRecord) -> dict[str, Any]:
    line = record.line
    return {
        "id": record.id,
        "date": iso(line.at),
        "applicationId": line.app_id,
        "instanceId": None,
        "requestId": line.request_id,
        "bytesIn": line.bytes_in,
        "bytesOut": line.bytes_out,
        "zone": "par",
        "tls": None,
        "source": {"ip": line.source_ip, "port": line.source_port, "city": None, "countryCode": None},
        "destination": {"ip": "127.0.0.1", "port": 8080},
        "http": {
            "request": {"host": line.host, "method": line.method, "path": line.path, "scheme": line.scheme},
            "response": {"statusCode": line.status, "time": f"{line.duration_ms / 1000:.6f}S"},
        },
    }


async def _events(
    records: AsyncGenerator[Any, None], name: str, render: Callable[[Any], dict[str, Any]], *, bounded: bool
) -> AsyncIterator[bytes]:
    """The stream's bytes: records as they come, a heartbeat after two silent seconds, the end if there is one."""
    yield event("HEARTBEAT", {})
    send, receive = anyio.create_memory_object_stream[bytes](256)

    async def pump() -> None:
        async with send, aclosing(records) as found:
            async for record in found:
                await send.send(event(name, render(record), record.id))

    # The task group must not be left open across a yield: the pump is owned by a scope that this generator closes.
    import asyncio  # noqa: TID251 - a generator cannot hold a task group open across its yields

    task = asyncio.create_task(pump())
    try:
        ended = False
        while not ended:
            try:
                with anyio.fail_after(HEARTBEAT_S):
                    part = await receive.receive()
            except TimeoutError:
                yield event("HEARTBEAT", {})
                continue
            except anyio.EndOfStream:
                break
            parts = [part]
            while receive.statistics().current_buffer_used:
                parts.append(receive.receive_nowait())
            yield b"".join(parts)
        if bounded and not (task.done() and task.exception()):
            yield event("END_OF_STREAM", {"endedBy": "UNTIL_REACHED"})
    finally:
        task.cancel()
        receive.close()
        with anyio.CancelScope(shield=True), anyio.move_on_after(2):
            await asyncio.gather(task, return_exceptions=True)


async def _app(ctx: Context, request: Request, owner_id: str, app_id: str) -> App:
    actor = await actor_of(request)
    return await ctx.read(lambda conn: _find(conn, actor, owner_id, app_id))


def _find(conn: sa.Connection, actor: Any, owner_id: str, app_id: str) -> App:
    return views.find(conn, actor, None if owner_id == "self" else owner_id, app_id, Right.LOOK_INSIDE)


def _refused(error: HavreError) -> JSONResponse:
    """The client reads the error of a stream only under this very content type."""
    status, _ = errors.status_of(error)
    content = {"error": error.message, "message": error.message, "code": f"havre.{type(error).__name__}", "context": {}}
    return JSONResponse(content, status_code=status, headers={"content-type": "application/json"})


HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


@router.get("/v4/logs/organisations/{owner_id}/applications/{app_id}/logs")
async def logs(
    request: Request,
    owner_id: str,
    app_id: str,
    since: str | None = None,
    until: str | None = None,
    limit: int | None = None,
    deploymentId: str | None = None,
    filter: str | None = None,
    instanceId: Annotated[list[str] | None, Query()] = None,
    service: Annotated[list[str] | None, Query()] = None,
    last_event_id: Annotated[str | None, Header(alias="last-event-id")] = None,
) -> Any:
    """Lines of an app, its builds and the platform about it, as server-sent events (APPLICATION_LOG)."""
    ctx = context(request)
    try:
        app = await _app(ctx, request, owner_id, app_id)
        query = LogQuery(
            app_id=app.id,
            since=moment(since, "since"),
            until=moment(until, "until"),
            deployment_id=deploymentId,
            instance_ids=tuple(instanceId or ()),
            filter=filter or None,
            services=tuple(service or ()),
            limit=limit,
            after_id=last_event_id or None,
        )
        records = observe.logs(ctx.kernel, query, live=True)
    except HavreError as error:
        return _refused(error)
    bounded = query.until is not None or query.limit is not None
    stream = _events(records, "APPLICATION_LOG", log_data, bounded=bounded)
    return StreamingResponse(stream, media_type="text/event-stream", headers=HEADERS)


@router.get("/v4/accesslogs/organisations/{owner_id}/applications/{app_id}/accesslogs")
@router.get("/v4/logs/organisations/{owner_id}/applications/{app_id}/accesslogs")
async def access_logs(
    request: Request,
    owner_id: str,
    app_id: str,
    since: str | None = None,
    until: str | None = None,
    limit: int | None = None,
    last_event_id: Annotated[str | None, Header(alias="last-event-id")] = None,
) -> Any:
    """Requests to an app, as server-sent events (ACCESS_LOG)."""
    ctx = context(request)
    try:
        app = await _app(ctx, request, owner_id, app_id)
        query = AccessQuery(
            app_id=app.id,
            since=moment(since, "since"),
            until=moment(until, "until"),
            limit=limit,
            after_id=last_event_id or None,
        )
        records = observe.access_logs(ctx.kernel, query, live=True)
    except HavreError as error:
        return _refused(error)
    bounded = query.until is not None or query.limit is not None
    stream = _events(records, "ACCESS_LOG", access_data, bounded=bounded)
    return StreamingResponse(stream, media_type="text/event-stream", headers=HEADERS)
