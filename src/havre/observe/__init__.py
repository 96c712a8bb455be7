"""Logs: what apps, builds and the edge say, taken from their files, kept, bounded, and read back.

Whoever starts something that writes lines to a file registers the file as a source, in the transaction that
makes it wanted; this room does the rest. See README.md.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from havre.base.errors import UnavailableError
from havre.kernel.clock import rest
from havre.kernel.kernel import Kernel
from havre.kernel.reconcile import Reconciler
from havre.kernel.rooms import Health, Loop, Room
from havre.kernel.store import Tx
from havre.observe import raw, reading, tables
from havre.observe.access import AccessIngest
from havre.observe.bells import Bells
from havre.observe.counting import Counting
from havre.observe.drains import Drain, DrainState
from havre.observe.drains import intents as drains
from havre.observe.drains.running import Running
from havre.observe.embedded import EmbeddedStore
from havre.observe.figures import Figures
from havre.observe.ingest import Ingest
from havre.observe.model import (
    DEPLOY_SERVICE,
    USER_SERVICE,
    AccessLine,
    AccessQuery,
    AccessRecord,
    LogQuery,
    LogRecord,
    LogSource,
    ResolveHost,
    event_id,
    seq_of,
)
from havre.observe.reading import Reading, Shelf
from havre.observe.retention import Retention
from havre.observe.signals import SignalStore
from havre.observe.tables import SCHEMA

__all__ = [
    "DEPLOY_SERVICE",
    "SCHEMA",
    "USER_SERVICE",
    "AccessLine",
    "AccessQuery",
    "AccessRecord",
    "Drain",
    "DrainState",
    "LogQuery",
    "LogRecord",
    "LogSource",
    "access_logs",
    "add_source",
    "all_told",
    "check_drain",
    "drain_backlog",
    "drained",
    "drains",
    "drop_app",
    "end_source",
    "end_sources_of",
    "event_id",
    "log_head",
    "logs",
    "request_counts",
    "seq_of",
    "setup",
    "tail",
]

tail = raw.tail


@dataclass(frozen=True)
class _Opened:
    """The room's parts, for the face."""

    signals: SignalStore
    ingest: Ingest
    access: AccessIngest
    reading: Reading
    running: Running


REST_S = 0.003  # between two pieces of reading requests
_opened: dict[Path, _Opened] = {}  # by data directory: an installation has one room of logs


def add_source(tx: Tx, source: LogSource) -> None:
    """Follow a file from its first byte. It need not exist yet. A repeat changes nothing."""
    tables.add(tx, source)
    tx.emit("observe.source.added", owner_id=source.owner_id, subject=source.app_id, source=source.id)


def end_source(tx: Tx, id: str) -> None:
    """Nobody writes to the source's file any more. What is in it is still read."""
    if tables.end(tx, id):
        tx.emit("observe.source.ended", source=id)


def end_sources_of(tx: Tx, instance_id: str) -> None:
    """The instance has ended: nobody writes to any of its files."""
    for id in tables.of_instance(tx.conn, instance_id):
        end_source(tx, id)


def drop_app(tx: Tx, app_id: str) -> None:
    """Forget the app's sources and delete its lines and requests. Its files are their owner's to remove."""
    tables.drop_app(tx, app_id)
    drains.drop_app(tx, app_id)
    tx.emit("observe.app.dropped", subject=app_id)


def _restored(tx: Tx) -> None:
    """The files that were followed are another machine's; the store of lines is new."""
    tables.forget_all(tx)
    drains.begin_again(tx)


async def drained(kernel: Kernel, source_id: str) -> bool:
    """Whether the source's file may be removed: it has ended and all of it is kept, or it is unknown."""
    return await _room(kernel).ingest.drained(source_id)


async def log_head(kernel: Kernel) -> int:
    """The newest sequence number of a line: what a drain that is made now begins after."""
    return await anyio.to_thread.run_sync(_room(kernel).signals.log_head)


async def drain_backlog(kernel: Kernel, app_id: str, state: DrainState) -> int:
    """How many lines wait for a drain's recipient, counted up to 1000."""
    return await _room(kernel).running.backlog(state.seq, app_id)


async def check_drain(kernel: Kernel, drain: Drain) -> None:
    """Send one line of our own to the drain's recipient now. Raises UnavailableError or InvalidError with why not."""
    await _room(kernel).running.check(drain)


def logs(kernel: Kernel, query: LogQuery, *, live: bool) -> AsyncGenerator[LogRecord, None]:
    """The lines that `query` asks for, in the order of their ids, strictly after `after_id`.

    live: without `since` and `deployment_id` begins now; ends only at `until` or `limit`, else never.
    Not live: ends with what is there, or at `until` when that is to come.
    Raises InvalidError for an `after_id` that is not ours, UnavailableError when the store does not answer.
    Close it (`contextlib.aclosing`) when you leave it early.
    """
    return _room(kernel).reading.logs(query, live=live)


async def all_told(kernel: Kernel, app_id: str, *, limit_s: float) -> bool:
    """Return when all that an app had written by now was given to those who follow its log, or after `limit_s`;
    whether anybody does."""
    return await _room(kernel).reading.all_told(app_id, limit_s=limit_s)


def access_logs(kernel: Kernel, query: AccessQuery, *, live: bool) -> AsyncGenerator[AccessRecord, None]:
    """The requests that `query` asks for; see `logs`."""
    return _room(kernel).reading.accesses(query, live=live)


async def request_counts(kernel: Kernel, app_id: str, *, since: int, span_ms: int) -> Mapping[int, Mapping[int, int]]:
    """How many requests an app was asked since `since`, by the beginning of each span and by status."""
    opened = _room(kernel)
    await opened.access.catch_up(limit_s=1.0)
    ask = partial(opened.signals.access_counts, app_id, since=since, span_ms=span_ms)
    return await anyio.to_thread.run_sync(ask)


def counting(kernel: Kernel, app_id: str, *, span_ms: int) -> Counting:
    """Counts of requests for as long as somebody looks. The caller calls `end`."""
    opened = _room(kernel)
    catch_up = partial(opened.access.catch_up, limit_s=1.0)
    bells, clock = opened.access.bells, kernel.clock
    return Counting(opened.signals, bells, catch_up, clock=clock, app_id=app_id, span_ms=span_ms)


def setup(kernel: Kernel, resolve_host: ResolveHost) -> Room:
    """Open the signals store and make the room. `resolve_host` gives the app of a request's host name and path."""
    opened = _opened[kernel.paths.data] = _open(kernel, resolve_host)
    figures = Figures(opened.ingest, opened.access, clock=kernel.clock)
    kernel.metrics.register(figures)
    retention = Retention(opened.ingest, figures=figures, kernel=kernel)

    async def health() -> Health:
        return figures.health()

    return Room(
        "observe",
        schema=tables.SCHEMA,
        loops=(
            Loop("observe.ingest", opened.ingest.run),
            Loop("observe.access", opened.access.run),
            Loop("observe.drains", opened.running.run),
        ),
        reconcilers=(Reconciler("observe.retention", retention.pass_once, every_s=600.0),),
        health=health,
        restored=_restored,
    )


def _open(kernel: Kernel, resolve_host: ResolveHost) -> _Opened:
    quota, clock = kernel.config.logs.per_app_bytes, kernel.clock
    signals = EmbeddedStore.open(kernel.paths.data / "logs.db", per_app_bytes=quota)
    writer = anyio.CapacityLimiter(1)
    ingest = Ingest(
        store=kernel.store,
        signals=signals,
        bells=Bells(),
        bus=kernel.bus,
        clock=clock,
        per_app_bytes=quota,
        writer=writer,
    )
    access = AccessIngest(
        folder=kernel.paths.edge,
        store=kernel.store,
        signals=signals,
        bells=Bells(),
        clock=clock,
        resolve_host=resolve_host,
        writer=writer,
        rest=partial(rest, REST_S),
    )
    lines = Shelf(ingest.bells, partial(ingest.catch_up, limit_s=reading.CATCH_UP_S))
    requests = Shelf(access.bells, lambda _: access.catch_up(limit_s=reading.CATCH_UP_S))
    answers = Reading(signals, clock=clock, logs=lines, accesses=requests)
    return _Opened(signals, ingest, access, answers, Running(kernel, signals, ingest.bells))


def close(kernel: Kernel) -> None:
    """Close the signals store; its loops must have ended."""
    if (room := _opened.pop(kernel.paths.data, None)) is not None:
        room.signals.close()


def _room(kernel: Kernel) -> _Opened:
    try:
        return _opened[kernel.paths.data]
    except KeyError:
        raise UnavailableError("the logs are not open") from None
