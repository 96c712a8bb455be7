"""Takes what apps and builds append to their files into the signals store.

Every source that is due gets its turn in every pass and a bounded share of it, so a flood delays nobody.
Lines and cursors are committed together; only then do cursors move in memory and bells ring. A process that
dies anywhere begins again at the committed cursors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream

from havre.base.errors import HavreError
from havre.kernel.clock import Clock
from havre.kernel.events import Bus, Event
from havre.kernel.store import Store
from havre.observe import bells, decide, raw, tables, tailing
from havre.observe.bells import Bells
from havre.observe.model import Taken
from havre.observe.signals import SignalStore
from havre.observe.tailing import Look, Tail

T = TypeVar("T")
log = structlog.get_logger()

COMMIT_LINES = 20_000
COMMIT_BYTES = 8 * 1024 * 1024
RELOAD_S = 30.0
IDLE_S = 1.0
TICK_S = 0.1


@dataclass
class Counts:
    """What was taken since the process began, and why the last pass failed, if it did."""

    lines: int = 0
    octets: int = 0
    dropped: int = 0
    passes: int = 0
    error: str = ""


@dataclass
class Ingest:
    """The loop over the open sources. `pass_once` is one pass; `run` makes them for ever."""

    store: Store
    signals: SignalStore
    bells: Bells
    bus: Bus
    clock: Clock
    per_app_bytes: int
    writer: anyio.CapacityLimiter
    counts: Counts = field(default_factory=Counts)
    tails: dict[str, Tail] = field(default_factory=dict)
    _allowances: dict[str, decide.Allowance] = field(default_factory=dict)
    _loaded_s: float = -math.inf
    _stale: bool = True
    _wake: anyio.Event = field(default_factory=anyio.Event)
    _asked: dict[str, anyio.Event] = field(default_factory=dict)  # apps whose files somebody wants read now
    _settled_s: float = -math.inf

    async def run(self) -> None:
        self.forget_memory()
        async with self.bus.subscribe("observe.source.", "observe.app.") as changes:
            async with anyio.create_task_group() as group:
                group.start_soon(self._listen, changes)
                while True:
                    self._wake = anyio.Event()
                    busy = await self.pass_once()
                    if not busy and not self._stale and not self._asked:
                        await bells.wait(self._wake, clock=self.clock, seconds=self._pause_s())

    def forget_memory(self) -> None:
        """Start again from what is committed."""
        self.tails.clear()
        self._stale = True

    async def pass_once(self) -> bool:
        """One pass over the sources that are due; whether there is more to take at once."""
        now_s = self.clock.monotonic()
        if self._stale or now_s - self._loaded_s >= RELOAD_S:
            await self._load()
        asked, self._asked = self._asked, {}
        look = Look(self.clock.now(), self.clock.monotonic(), self.per_app_bytes)
        due = [
            tail
            for tail in self.tails.values()
            if not tail.is_done and (tail.due_s <= look.now_s + TICK_S / 2 or tail.source.app_id in asked)
        ]
        try:
            busy = await self._take_all(due, look) if due else False
        except BaseException as error:
            self.counts.error = error.message if isinstance(error, HavreError) else repr(error)
            self.forget_memory()
            raise
        finally:
            for event in asked.values():
                event.set()
        self.counts.passes += 1
        self.counts.error = ""
        await self._free(look)
        return busy

    async def catch_up(self, app_id: str, *, limit_s: float) -> None:
        """Return when what the app had written by now is in the store, or after `limit_s`."""
        for _ in range(2):  # the first pass may have begun before we came
            event = self._asked.setdefault(app_id, anyio.Event())
            self._wake.set()
            if not await bells.wait(event, clock=self.clock, seconds=limit_s / 2):
                return

    async def drained(self, source_id: str) -> bool:
        """Whether the source has ended and all of it is in the store, or it is not known at all."""
        tail = self.tails.get(source_id)
        if tail is not None and tail.is_done and tail.ended:
            return True
        return not await self.store.read(lambda conn: tables.exists(conn, source_id))

    # loading

    async def _listen(self, changes: MemoryObjectReceiveStream[Event]) -> None:
        async for _ in changes:
            self._stale = True
            self._wake.set()

    async def _load(self) -> None:
        """Read again which sources there are; forget those that are gone, and the apps that were dropped."""
        self._stale = False
        rows = {each.source.id: each for each in await self.store.read(tables.sources)}
        now_s = self.clock.monotonic()
        fresh = [id for id in rows if id not in self.tails]
        cursors = await self._in_writer(self.signals.cursors) if fresh else {}
        for id, row in rows.items():
            tail = self.tails.get(id)
            ended = row.ended_at is not None
            if tail is None or (tail.is_done and not ended):
                self.tails[id] = tailing.follow(row, tail.cursor if tail else cursors.get(id), now_s=now_s)
            elif tail.ended != ended:
                tail.ended, tail.due_s = ended, -math.inf
        gone = [id for id in self.tails if id not in rows]
        gone += [id for id in cursors if id not in rows and id not in self.tails]
        for id in gone:
            self.tails.pop(id, None)
        if gone:
            await self._in_writer(partial(self.signals.forget_sources, gone))
        self._loaded_s = now_s
        await self._drop_apps()

    async def _drop_apps(self) -> None:
        for app_id in await self.store.read(tables.dropped_apps):
            while not await self._in_writer(partial(self.signals.drop_app, app_id)):
                await self.clock.sleep(0)
            self._allowances.pop(app_id, None)
            await self.store.write(partial(tables.forget_dropped, app_id=app_id))
            log.info("observe.app.dropped", app=app_id)

    # taking

    async def _take_all(self, due: list[Tail], look: Look) -> bool:
        busy = False
        waiting = list(due)
        while waiting:
            waiting, taken = await self._in_writer(partial(self._take_some, waiting, look))
            self._moved(taken)
            busy = busy or any(tail.backlog for tail, _ in taken)
        for tail in due:
            if not tail.backlog:
                watched = self.bells.is_watched(tail.source.app_id)
                tail.due_s = tailing.again_s(tail, look, watched=watched)
        return busy

    def _take_some(self, waiting: list[Tail], look: Look) -> tuple[list[Tail], list[tuple[Tail, Taken]]]:
        """In a thread: take from as many sources as one commit may hold, and commit. Returns who is left."""
        batch: list[tuple[Tail, Taken]] = []
        lines = octets = index = 0
        for index, tail in enumerate(waiting, 1):  # noqa: B007
            allowance = self._allowances.setdefault(tail.source.app_id, tailing.new_allowance())
            allowance.refill(look.now_s)
            taken = tailing.take(tail, allowance, look)
            if taken is None:
                tail.due_s = look.now_s + TICK_S
                continue
            batch.append((tail, taken))
            lines += len(taken.lines)
            octets += max(0, taken.cursor.offset - tail.cursor.offset) if taken.lines else 0
            if lines >= COMMIT_LINES or octets >= COMMIT_BYTES:
                break
        if batch:
            self.signals.keep([taken for _, taken in batch])
        return waiting[index:], batch

    def _moved(self, batch: Iterable[tuple[Tail, Taken]]) -> None:
        rung = set()
        for tail, taken in batch:
            self.counts.lines += len(taken.lines)
            self.counts.octets += max(0, taken.cursor.offset - tail.cursor.offset)
            self.counts.dropped += max(0, taken.cursor.dropped - tail.cursor.dropped)
            tailing.kept(tail, taken)
            if taken.lines:
                rung.add(tail.source.app_id)
        self.bells.ring(rung)

    async def _free(self, look: Look) -> None:
        """Free what is read and settled of the raw files. Not at every pass: settling waits for the disk."""
        if look.now_s - self._settled_s < 2.0:
            return
        big = [
            tail
            for tail in self.tails.values()
            if tail.cursor.offset - tail.freed >= raw.HOLE_BYTES + raw.KEPT_BYTES and not tail.is_done
        ]
        if not big:
            return
        self._settled_s = look.now_s

        def work() -> None:
            self.signals.settle()
            for tail in big:
                raw.free(tail.source.path, upto=tail.cursor.offset)
                tail.freed = tail.cursor.offset - raw.KEPT_BYTES

        await self._in_writer(work)

    def _pause_s(self) -> float:
        now_s = self.clock.monotonic()
        due_s = min((tail.due_s for tail in self.tails.values() if not tail.is_done), default=math.inf)
        return min(IDLE_S, max(TICK_S / 2, due_s - now_s))

    async def _in_writer(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self.writer)
