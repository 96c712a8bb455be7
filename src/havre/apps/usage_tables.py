"""SQL of what apps used: points of a minute for a day, of a quarter of an hour for a week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from havre.apps.tables import APP, METADATA
from havre.kernel.store import Tx

MINUTE_MS, QUARTER_MS, DAY_MS = 60_000, 900_000, 86_400_000
KEPT_MS = {MINUTE_MS: DAY_MS, QUARTER_MS: 7 * DAY_MS}
USAGE = sa.Table(
    "app_usage",
    METADATA,
    sa.Column("app_id", sa.String(64), sa.ForeignKey("app.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("span_ms", sa.Integer, primary_key=True),
    sa.Column("at", sa.BigInteger, primary_key=True),
    sa.Column("cpu", sa.Float, nullable=False),
    sa.Column("memory", sa.Float, nullable=False),
    sa.Index("app_usage_age", "span_ms", "at"),
)


@dataclass(frozen=True, slots=True)
class Point:
    """Percent of what the app's running instances may use, averaged over the `span_ms` that begin at `at`."""

    at: int
    cpu: float
    memory: float
    span_ms: int = MINUTE_MS


def put(tx: Tx, points: Mapping[str, Point]) -> None:
    """Write a point of each app, over one that is there. An app that is gone meanwhile has none."""
    known = set(tx.conn.scalars(sa.select(APP.c.id)))
    for app_id, point in points.items():
        if app_id in known:
            _put(tx, app_id, point)


def _put(tx: Tx, app_id: str, point: Point) -> None:
    same = (USAGE.c.app_id == app_id) & (USAGE.c.span_ms == point.span_ms) & (USAGE.c.at == point.at)
    tx.conn.execute(sa.delete(USAGE).where(same))
    values = {"at": point.at, "cpu": point.cpu, "memory": point.memory}
    tx.conn.execute(sa.insert(USAGE).values(app_id=app_id, span_ms=point.span_ms, **values))


def fold(tx: Tx, *, now: int) -> int:
    """Make quarters of an hour of the minutes of those that have ended, forget what is too old; the rows written.

    A repeat changes nothing: a quarter that is there is not made again. Those of a clock that was ahead do not count.
    """
    begun = now - now % QUARTER_MS
    newest = sa.select(sa.func.max(USAGE.c.at)).where((USAGE.c.span_ms == QUARTER_MS) & (USAGE.c.at < begun))
    last = tx.conn.scalar(newest)
    since = 0 if last is None else last + QUARTER_MS
    made = 0
    if since < begun:
        quarter = (USAGE.c.at - USAGE.c.at % QUARTER_MS).label("quarter")
        means = sa.func.avg(USAGE.c.cpu).label("cpu"), sa.func.avg(USAGE.c.memory).label("memory")
        minutes = (USAGE.c.span_ms == MINUTE_MS) & (USAGE.c.at >= since) & (USAGE.c.at < begun)
        query = sa.select(USAGE.c.app_id, quarter, *means).where(minutes).group_by(USAGE.c.app_id, quarter)
        for row in tx.conn.execute(query).all():
            _put(tx, row.app_id, Point(int(row.quarter), float(row.cpu), float(row.memory), QUARTER_MS))
            made += 1
    for span_ms, kept_ms in KEPT_MS.items():
        tx.conn.execute(sa.delete(USAGE).where((USAGE.c.span_ms == span_ms) & (USAGE.c.at < now - kept_ms)))
    return made


def of_app(conn: sa.Connection, app_id: str, *, since: int) -> Sequence[Point]:
    """The points since `since`, oldest first, each moment once: quarters until the oldest minute's, then minutes."""
    query = sa.select(USAGE).where((USAGE.c.app_id == app_id) & (USAGE.c.at >= since)).order_by(USAGE.c.at)
    points = [Point(row.at, row.cpu, row.memory, row.span_ms) for row in conn.execute(query)]
    minutes = [each for each in points if each.span_ms == MINUTE_MS]
    first = minutes[0].at if minutes else None
    if first is None:
        return points
    return [each for each in points if each.span_ms == QUARTER_MS and each.at + QUARTER_MS <= first] + minutes
