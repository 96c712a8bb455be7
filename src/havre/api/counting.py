"""The figures of an app while somebody looks: one stream of what it is asked and what its instances use."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from havre import observe
from havre.api import stats
from havre.api.app_route import found
from havre.api.changes import is_still_welcome
from havre.api.context import Caller, Context, Ctx, OwnerParam
from havre.api.overviews import used_by
from havre.api.stats import BASE, Span
from havre.api.streams import HEADERS, event
from havre.base.errors import HavreError
from havre.governance import Actor
from havre.observe.counting import Counts
from havre.wire import overview

router = APIRouter(tags=["stats"])
EVERY_S = 2.0  # no page is told more often
USAGE_S = 5.0
WELCOME_S = 30.0


@router.get(BASE + "/live")
async def live(
    ctx: Ctx,
    actor: Caller,
    owner: OwnerParam,
    resource_id: str,
    request: Request,
    interval: Span = "P1D",
    span: Span = "PT30M",
    limit: Annotated[int | None, Query(ge=0, le=10**6)] = None,
) -> StreamingResponse:
    """Server-sent events: REQUESTS with every span of the interval, first of all; then ANSWERED with what is to be
    added to the spans named, and USAGE with what the instances use when that has changed; HEARTBEAT between."""
    app = await ctx.read(lambda conn: found(conn, actor, owner, resource_id))
    spans = stats.spans_of(interval, span, ctx.kernel.clock.now())
    told = _told(ctx, actor, request, owner, app.id, spans)
    stream = _limited(told, limit)
    return StreamingResponse(stream, media_type="text/event-stream", headers=HEADERS)


async def _limited(told: AsyncGenerator[bytes, None], limit: int | None) -> AsyncIterator[bytes]:
    left = limit
    async with aclosing(told) as parts:
        if left == 0:
            return
        async for part in parts:
            yield part
            left = None if left is None else left - 1
            if left == 0:
                return


async def _told(
    ctx: Context, actor: Actor, request: Request, owner: str, app_id: str, spans: list[tuple[int, int]]
) -> AsyncGenerator[bytes, None]:
    clock, since = ctx.kernel.clock, spans[0][0]
    counting = observe.counting(ctx.kernel, app_id, span_ms=spans[0][1] - since)
    try:
        counts = await counting.begin(since)
        yield event("REQUESTS", {"spans": [_span(begin, counts.get(begin, {})) for begin, _ in spans]})
        usage: list[dict[str, Any]] = []
        used_at, welcome_at = 0.0, clock.monotonic()
        while True:
            began = clock.monotonic()
            if began - welcome_at > WELCOME_S:
                welcome_at = began
                if not await _may_still(ctx, actor, request, owner, app_id):
                    return
            if began - used_at > USAGE_S:
                used_at = began
                seen = [each.model_dump() for each in await used_by(ctx, actor, owner, app_id)]
                if seen != usage:
                    usage = seen
                    yield event("USAGE", {"instances": usage})
            new = await counting.more(within_s=EVERY_S)
            yield _answered(new) if new else event("HEARTBEAT", {})
            await clock.sleep(max(0.0, EVERY_S - (clock.monotonic() - began)))
    finally:
        counting.end()


def _answered(new: Counts) -> bytes:
    return event("ANSWERED", {"spans": [_span(begin, codes) for begin, codes in sorted(new.items())]})


def _span(begin: int, codes: Any) -> dict[str, Any]:
    status_codes = {str(code): count for code, count in sorted(codes.items())}
    return overview.Requests(at=begin, count=sum(codes.values()), statusCodes=status_codes).model_dump()


async def _may_still(ctx: Context, actor: Actor, request: Request, owner: str, app_id: str) -> bool:
    """Who was signed out, or is a member no longer, is told nothing more."""
    try:
        await ctx.read(lambda conn: found(conn, actor, owner, app_id))
    except HavreError:
        return False
    return await is_still_welcome(ctx, request)
