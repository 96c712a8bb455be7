"""By which moment things are old enough to be deleted, and a command line's token has ended.

A clock that jumps ahead makes everything look old at once, and what retention deletes does not come back when the clock
does; nobody could push meanwhile. So a jump is believed only when it has lasted for a day; until then the moment goes
on from where it was. Nothing is lost by that: what waits to be deleted is bounded in bytes, too, and a token that ended
while the machine was off is good for a day more; who takes it back need not wait.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from havre.drivers.disk.whole import write_whole
from havre.kernel.clock import Clock

JUMP_MS = 3_600_000  # further than clocks are corrected by
BELIEVED_S = 86_400.0
KEPT_EVERY_MS = 60_000


class Aging:
    """`now` is the wall clock's as long as that goes on as time does.

    file: where a moment of the last minute is kept, since a machine may start with another time than it stopped with.
    Having been off for long looks the same, and costs a day's wait. On a full disk an older moment stays.
    """

    def __init__(self, clock: Clock, file: Path) -> None:
        self._clock, self._file = clock, file
        self._seen: int | None = None  # at `_looked`
        self._looked = clock.monotonic()
        self._doubted: float | None = None
        self._kept: int | None = None

    def now(self) -> int:
        """ms since the epoch; never ahead of the wall clock."""
        wall, looked = self._clock.now(), self._clock.monotonic()
        if self._seen is None:
            self._seen = self._read(wall)
        expected = self._seen + int((looked - self._looked) * 1000)
        is_jump = wall > expected + JUMP_MS
        self._doubted = (self._doubted if self._doubted is not None else looked) if is_jump else None
        if self._doubted is not None and looked - self._doubted >= BELIEVED_S:
            self._doubted, is_jump = None, False
        self._seen, self._looked = expected if is_jump else wall, looked
        if self._kept is None or abs(self._seen - self._kept) >= KEPT_EVERY_MS:
            with contextlib.suppress(OSError):
                self._write(self._seen)
                self._kept = self._seen
        return self._seen

    def _read(self, wall: int) -> int:
        try:
            return int(json.loads(self._file.read_text())["at"])
        except (OSError, ValueError, KeyError, TypeError):
            return wall

    def _write(self, at: int) -> None:
        write_whole(self._file, json.dumps({"at": at}), mode=0o600)
