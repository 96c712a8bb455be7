"""Answers for logs: what is there, then what comes, in the order of the events' ids, each once.

A reader holds a position and reads pages from the store; nothing is queued for it, so a slow one costs
nothing and misses nothing but what the quota has taken meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread

from havre.kernel.clock import Clock
from havre.observe import bells
from havre.observe.bells import Bells
from havre.observe.model import AccessQuery, AccessRecord, LogQuery, LogRecord, seq_of
from havre.observe.signals import Page, SignalStore

R = TypeVar("R", LogRecord, AccessRecord)
T = TypeVar("T")
PAGE = 500
CATCH_UP_S = 3.0
LOOK_AGAIN_S = 60.0
TOLD_LOOK_S = 0.02


@dataclass(eq=False)
class Follower:
    """Somebody who is told of an app's new lines. `bell`: it has seen all that was there when that was hung up."""

    app_id: str
    bell: anyio.Event | None = None

    @property
    def is_behind(self) -> bool:
        return self.bell is None or self.bell.is_set()


@dataclass(frozen=True)
class Shelf:
    """One kind of records: how to read a page, its newest sequence number, and how to bring it up to date."""

    bells: Bells
    catch_up: Callable[[str], Awaitable[None]]


class Reading:
    """Queries over one signals store."""

    def __init__(self, signals: SignalStore, *, clock: Clock, logs: Shelf, accesses: Shelf) -> None:
        self._signals = signals
        self._clock = clock
        self._logs = logs
        self._accesses = accesses
        self._readers = anyio.CapacityLimiter(4)
        self._followers: set[Follower] = set()

    async def all_told(self, app_id: str, *, limit_s: float) -> bool:
        """Return when all that the app had written by now was given to those who follow its log, or after `limit_s`;
        whether anybody does."""
        theirs = [each for each in self._followers if each.app_id == app_id]
        if theirs:
            with anyio.move_on_after(limit_s):
                await self._logs.catch_up(app_id)
                while any(each.is_behind for each in theirs):
                    await self._clock.sleep(TOLD_LOOK_S)
        return bool(theirs)

    def logs(self, query: LogQuery, *, live: bool) -> AsyncGenerator[LogRecord, None]:
        from_now = live and query.since is None and query.deployment_id is None

        def page(after: int, size: int) -> Page[LogRecord]:
            return self._signals.logs(query, after=after, page=size)

        return self._follow(query, page, _start(query, from_now, self._signals.log_head), self._logs, live)

    def accesses(self, query: AccessQuery, *, live: bool) -> AsyncGenerator[AccessRecord, None]:
        from_now = live and query.since is None

        def page(after: int, size: int) -> Page[AccessRecord]:
            return self._signals.accesses(query, after=after, page=size)

        return self._follow(query, page, _start(query, from_now, self._signals.access_head), self._accesses, live)

    async def _follow(
        self,
        query: LogQuery | AccessQuery,
        read_page: Callable[[int, int], Page[R]],
        start: Callable[[], int],
        shelf: Shelf,
        live: bool,
    ) -> AsyncGenerator[R, None]:
        left = query.limit
        follower = Follower(query.app_id)
        if live and shelf is self._logs:
            self._followers.add(follower)
        shelf.bells.enter(query.app_id)
        try:
            after = await self._in_reader(start)
            while left is None or left > 0:
                bell = shelf.bells.of(query.app_id)
                last = self._is_last(query, live)
                if last:
                    await shelf.catch_up(query.app_id)
                page = await self._in_reader(partial(read_page, after, PAGE if left is None else min(PAGE, left)))
                for record in page.records:
                    after = record.seq
                    yield record
                if left is not None:
                    left -= len(page.records)
                after = page.next
                if page.has_more:
                    continue
                if last:
                    return
                follower.bell = bell
                await bells.wait(bell, clock=self._clock, seconds=self._pause_s(query))
                follower.bell = None
        finally:
            follower.bell = anyio.Event()  # nobody waits for who has left
            self._followers.discard(follower)
            shelf.bells.leave(query.app_id)

    def _is_last(self, query: LogQuery | AccessQuery, live: bool) -> bool:
        """Whether what is there now is all that the query will ever have."""
        if query.until is not None:
            return self._clock.now() >= query.until
        return not live

    def _pause_s(self, query: LogQuery | AccessQuery) -> float:
        if query.until is None:
            return LOOK_AGAIN_S
        return min(LOOK_AGAIN_S, max(0.0, (query.until - self._clock.now()) / 1000))

    async def _in_reader(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self._readers)


def _start(query: LogQuery | AccessQuery, from_now: bool, head: Callable[[], int]) -> Callable[[], int]:
    """After which sequence number the answer begins. Raises InvalidError for an `after_id` that is not ours."""
    after = None if query.after_id is None else seq_of(query.after_id)

    def start() -> int:
        newest = head()
        if after is not None and after <= newest:
            return after
        return newest if from_now else 0  # an id past the newest is of a store that was lost

    return start
