"""Counts the requests of an app while somebody looks: first all of a while, then what came since, each request once.

What was counted is known by its sequence number, so that no request is told twice or left out, whatever is being taken
in meanwhile. It costs a look at the new requests, and nothing while there are none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import anyio.to_thread

from havre.kernel.clock import Clock
from havre.observe import bells
from havre.observe.bells import Bells
from havre.observe.signals import SignalStore

Counts = Mapping[int, Mapping[int, int]]
"""By the beginning of the span, by the status that requests were answered with."""


class Counting:
    """`begin`, then `more` as often as wanted, then `end`, which is to be called whatever happens."""

    def __init__(
        self,
        signals: SignalStore,
        rung: Bells,
        catch_up: Callable[[], Awaitable[None]],
        *,
        clock: Clock,
        app_id: str,
        span_ms: int,
    ) -> None:
        self._signals, self._bells, self._catch_up, self._clock = signals, rung, catch_up, clock
        self._app_id, self._span_ms = app_id, span_ms
        self._head = 0
        self._since = 0
        rung.enter(app_id)

    async def begin(self, since: int) -> Counts:
        """Everything since `since`."""
        await self._catch_up()
        self._since = since
        self._head = await anyio.to_thread.run_sync(self._signals.access_head)
        return await self._counts(0, self._head)

    async def more(self, *, within_s: float) -> Counts:
        """What came since; waits for it, `within_s` at most, and is empty then."""
        bell = self._bells.of(self._app_id)
        found = await self._new()
        if not found and await bells.wait(bell, clock=self._clock, seconds=within_s):
            found = await self._new()
        return found

    def end(self) -> None:
        self._bells.leave(self._app_id)

    async def _new(self) -> Counts:
        before, self._head = self._head, await anyio.to_thread.run_sync(self._signals.access_head)
        return await self._counts(before, self._head) if self._head > before else {}

    async def _counts(self, after: int, upto: int) -> Counts:
        ask = partial(self._signals.access_counts, self._app_id, since=self._since, span_ms=self._span_ms)
        return await anyio.to_thread.run_sync(partial(ask, after=after, upto=upto))
