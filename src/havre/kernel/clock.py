"""Time as an argument: whoever needs a moment or a wait is given a Clock."""

from __future__ import annotations

import time
from typing import Protocol

import anyio


class Clock(Protocol):
    """Moments are milliseconds since the epoch, UTC; waits are seconds."""

    def now(self) -> int:
        """The wall clock, in ms. It may jump; never measure a duration with it."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; its zero means nothing."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait at least `seconds`; a cancellation point even for 0."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)  # noqa: TID251 - the one place that waits on the real clock


def rest(seconds: float) -> None:
    """Leave the processor to others for that long. Only in a thread that has nothing else to do, and never in order to
    wait for something: whoever waits has a Clock."""
    time.sleep(seconds)
