"""Limits of what a build may write: the disk of its release is looked at while it runs."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.to_thread

from havre import observe
from havre.apps import files
from havre.base.errors import ExhaustedError
from havre.base.ids import UnitId
from havre.kernel.clock import Clock
from havre.kernel.units import Exit, Units

LOOK_S = 5.0
SHARE = 20  # at most so much of the time is spent looking: one part in SHARE


async def wait_within(units: Units, id: UnitId, *, folder: Path, limit_bytes: int, clock: Clock) -> Exit:
    """Wait for the unit's end. Raises ExhaustedError when the files of `folder` took too much; it is stopped then."""

    async def look() -> float:
        began = clock.monotonic()
        size = await anyio.to_thread.run_sync(files.size_bytes, folder)
        if size > limit_bytes:
            await units.stop(id, grace_s=0)
            raise ExhaustedError(f"the build takes more than {limit_bytes // 1024**2} MiB, the most that is allowed")
        return clock.monotonic() - began

    ended: list[Exit] = []
    async with anyio.create_task_group() as group:

        async def wait() -> None:
            ended.append(await units.wait(id))
            group.cancel_scope.cancel()

        group.start_soon(wait)
        pause = LOOK_S
        while True:
            await clock.sleep(pause)
            pause = max(LOOK_S, SHARE * await look())
    await look()
    return ended[0]


def last_words(log: Path, ended: Exit) -> str:
    """Why a build failed, for people: the limit that it met, else the last line that it said."""
    if ended.oom or ended.deadline or ended.code is None:
        return str(ended)
    said = [line for line in observe.tail(log, lines=30) if line.strip()]
    return said[-1] if said else str(ended)
