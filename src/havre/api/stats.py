"""Figures of an app over time: what it used, what it was asked."""

from __future__ import annotations

import re
from bisect import bisect_left
from operator import attrgetter
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from havre import observe
from havre.api.app_route import found
from havre.api.context import Caller, Ctx, OwnerParam
from havre.base.errors import InvalidError
from havre.wire import overview

router = APIRouter(tags=["stats"])
BASE = "/v4/stats/organisations/{owner_id}/resources/{resource_id}"
MOST_MS, MOST_POINTS = 31 * 86_400_000, 2000
_at = attrgetter("at")
_DURATION = re.compile(r"P(?:(\d{1,3})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,5})M)?(?:(\d{1,6})S)?)?")
Span = Annotated[str, Query(max_length=20)]


def _ms(text: str, name: str) -> int:
    """An ISO 8601 duration without years and months. Raises InvalidError."""
    seen = _DURATION.fullmatch(text)
    days, hours, minutes, seconds = (int(each or 0) for each in seen.groups()) if seen else (0, 0, 0, 0)
    found = (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000
    if found <= 0:
        raise InvalidError(f"{name} is a duration such as P1D or PT5M")
    return found


def spans_of(interval: str, span: str, now: int) -> list[tuple[int, int]]:
    """The spans of an interval that ends now, oldest first: begin and end, on whole multiples."""
    whole, part = _ms(interval, "interval"), _ms(span, "span")
    if whole > MOST_MS or whole // part > MOST_POINTS:
        raise InvalidError(f"interval is 31 days at most, and has {MOST_POINTS} spans at most")
    last = now - now % part
    count = max(1, whole // part)
    return [(last - (count - 1 - each) * part, last - (count - 2 - each) * part) for each in range(count)]


@router.get(BASE + "/metrics")
async def metrics(
    ctx: Ctx,
    actor: Caller,
    owner: OwnerParam,
    resource_id: str,
    interval: Span = "P1D",
    span: Span = "PT1H",
    only: Annotated[list[Literal["cpu", "mem"]] | None, Query()] = None,
) -> list[dict[str, Any]]:
    """Percent of what the app's instances may use, averaged over each span; spans that nothing ran in are left out.

    Kept for a week, through restarts of Havre: a point a minute for the last day, one each quarter of an hour before.
    """
    app = await ctx.read(lambda conn: found(conn, actor, owner, resource_id))
    spans = spans_of(interval, span, ctx.kernel.clock.now())
    points = await ctx.apps.usage.of_app(app.id, since=spans[0][0])
    shown = []
    for name in only or ["cpu", "mem"]:
        data = []
        for begin, end in spans:
            of_span = points[bisect_left(points, begin, key=_at) : bisect_left(points, end, key=_at)]
            values = [each.cpu if name == "cpu" else each.memory for each in of_span]
            if values:
                data.append({"timestamp": begin * 1000, "value": f"{sum(values) / len(values):.2f}"})
        shown.append({"name": name, "data": data, "resource": app.id, "unit": "percent"})
    return shown


@router.get(BASE + "/requests")
async def requests(
    ctx: Ctx, actor: Caller, owner: OwnerParam, resource_id: str, interval: Span = "P1D", span: Span = "PT1H"
) -> list[overview.Requests]:
    """How many requests the app was asked in each span, by the status that they were answered with."""
    app = await ctx.read(lambda conn: found(conn, actor, owner, resource_id))
    spans = spans_of(interval, span, ctx.kernel.clock.now())
    size = spans[0][1] - spans[0][0]
    counts = await observe.request_counts(ctx.kernel, app.id, since=spans[0][0], span_ms=size)
    shown = []
    for begin, _ in spans:
        codes = counts.get(begin, {})
        status_codes = {str(code): count for code, count in sorted(codes.items())}
        shown.append(overview.Requests(at=begin, count=sum(codes.values()), statusCodes=status_codes))
    return shown
