"""Builds take turns: so many at once, the others in the order in which they came.

A restore, an upgrade of every app's stack or a busy morning asks for dozens at once, and each may use all that a build
may use. Turns are in memory: a build that runs already when the control plane comes back goes on beside them.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

LEAST = 2  # one that takes half an hour does not stop everybody


class Turns:
    """at_once: how many; 0: as many as there are processors, two at least."""

    def __init__(self, at_once: int) -> None:
        self._limit = anyio.CapacityLimiter(at_once or max(LEAST, len(os.sched_getaffinity(0))))

    @asynccontextmanager
    async def one(self, *, is_running: bool, tell: Callable[[str], None]) -> AsyncIterator[None]:
        """A turn. is_running: it had its turn before a restart, and only its end is waited for."""
        if is_running:
            yield
            return
        if not self._limit.available_tokens:
            ahead = self._limit.statistics().tasks_waiting
            others = f", {ahead} before this one" if ahead else ""
            tell(f"waiting for a turn: as many builds run as may at once ({self._limit.borrowed_tokens}){others}")
        async with self._limit:
            yield
