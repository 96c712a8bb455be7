"""Loops that bring what is seen to what is wanted.

A reconciler is woken by events and by its timer, takes no input, and reads everything again. One that
fails is tried again with a growing pause, and the others go on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream

from havre.base.errors import HavreError
from havre.kernel.clock import Clock
from havre.kernel.events import Bus, Event

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass saw and did. `again_s`: look again after so long, because something is under way."""

    wanted: int = 0
    changed: int = 0
    again_s: float | None = None


@dataclass(frozen=True)
class Reconciler:
    """`run` makes one pass; it is called when an event of `wake_on` comes and at the latest every `every_s`."""

    name: str
    run: Callable[[], Awaitable[Pass]]
    wake_on: tuple[str, ...] = ()
    every_s: float = 30.0


@dataclass
class LoopState:
    """What `/metrics` and the operator's status show of one loop."""

    passes: int = 0
    failures: int = 0
    last_error: str = ""
    last_at: int = 0
    seconds: float = 0.0
    changed: int = 0


@dataclass
class Loops:
    """The state of every reconciler, by name."""

    states: dict[str, LoopState] = field(default_factory=dict)


async def run_reconciler(reconciler: Reconciler, *, bus: Bus, clock: Clock, loops: Loops) -> None:
    """Run `reconciler` until cancelled. The first pass is made at once."""
    state = loops.states.setdefault(reconciler.name, LoopState())
    failures = 0
    async with bus.subscribe(*(reconciler.wake_on or ("\0",))) as wakes:
        while True:
            began = clock.monotonic()
            pause = reconciler.every_s
            try:
                result = await reconciler.run()
            except Exception as error:
                failures += 1
                state.failures += 1
                state.last_error = error.message if isinstance(error, HavreError) else repr(error)
                pause = min(reconciler.every_s, 0.2 * 2 ** min(failures, 8))
                log.warning("kernel.reconciler.failed", reconciler=reconciler.name, exc_info=error)
            else:
                failures = 0
                state.last_error = ""
                state.changed += result.changed
                if result.again_s is not None:
                    pause = min(pause, result.again_s)
            state.passes += 1
            state.last_at = clock.now()
            state.seconds += clock.monotonic() - began
            await _wait(wakes, clock, pause)


async def _wait(wakes: MemoryObjectReceiveStream[Event], clock: Clock, seconds: float) -> None:
    """Return after `seconds`, or when a wake comes; the wakes that came meanwhile count as one."""

    async def tick() -> None:
        await clock.sleep(seconds)
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        await wakes.receive()
        group.cancel_scope.cancel()
    while wakes.statistics().current_buffer_used:
        wakes.receive_nowait()
