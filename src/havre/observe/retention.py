"""Keeps logs bounded in time: old rows go, free space goes back to the disk, sources without a file are forgotten.

The quota in bytes is not kept here but at every commit, by the store.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread

from havre.kernel.kernel import Kernel
from havre.kernel.reconcile import Pass
from havre.observe import tables
from havre.observe.figures import Figures
from havre.observe.ingest import Ingest

DAY_MS = 86_400_000
T = TypeVar("T")


class Retention:
    def __init__(self, ingest: Ingest, *, figures: Figures, kernel: Kernel) -> None:
        self._ingest = ingest
        self._figures = figures
        self._store, self._clock, self._aging = kernel.store, kernel.clock, kernel.aging
        self._kept_ms = kernel.config.logs.retention_days * DAY_MS

    async def pass_once(self) -> Pass:
        """Delete in small transactions, so that new lines pass between."""
        changed, signals = 0, self._ingest.signals
        before = self._aging.now() - self._kept_ms
        while gone := await self._in_writer(partial(signals.expire, before)):
            changed += gone
        while await self._in_writer(signals.compact):
            await self._clock.sleep(0.05)
        changed += await self._forget_sources()
        self._figures.store = await self._in_writer(signals.figures)
        return Pass(changed=changed)

    async def _forget_sources(self) -> int:
        """Forget the sources that have ended, are read, and whose file their owner has removed."""
        done = [tail.source for tail in self._ingest.tails.values() if tail.is_done]
        ids = [source.id for source in done if not source.path.exists()]
        if not ids:
            return 0
        return await self._store.write(partial(tables.forget_sources, ids=ids))

    async def _in_writer(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self._ingest.writer)
