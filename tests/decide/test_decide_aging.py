"""By which moment things are old enough to be deleted, whatever the clock does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.lowlevel

from havre.kernel.aging import Aging

BEGAN = 1_700_000_000_000
HOUR_S, DAY_MS = 3600.0, 86_400_000


@dataclass
class Clocks:
    wall: int = BEGAN
    seconds: float = 50.0

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        await anyio.lowlevel.checkpoint()

    def go_on(self, seconds: float) -> None:
        self.wall += int(seconds * 1000)
        self.seconds += seconds


def test_it_is_the_wall_clock_that_goes_on_and_may_be_corrected(tmp_path: Path) -> None:
    clocks = Clocks()
    aging = Aging(clocks, tmp_path / "clock.json")
    for corrected_ms in (0, 30_000, -30_000, -5 * DAY_MS, 0):
        clocks.wall += corrected_ms
        clocks.go_on(HOUR_S)
        assert aging.now() == clocks.wall


def test_a_jump_ahead_is_believed_after_a_day_and_not_when_the_clock_comes_back(tmp_path: Path) -> None:
    clocks = Clocks()
    aging = Aging(clocks, tmp_path / "clock.json")
    assert aging.now() == BEGAN
    clocks.wall += 300 * DAY_MS
    for hour in range(1, 20):
        clocks.go_on(HOUR_S)
        assert aging.now() == BEGAN + hour * 3_600_000
    clocks.wall -= 300 * DAY_MS
    assert aging.now() == clocks.wall
    clocks.wall += 300 * DAY_MS
    seen = [aging.now()]
    for _ in range(26):
        clocks.go_on(HOUR_S)
        seen.append(aging.now())
    assert seen[23] < BEGAN + 3 * DAY_MS and seen[-1] == clocks.wall


def test_another_time_after_a_start_is_a_jump(tmp_path: Path) -> None:
    clocks = Clocks()
    Aging(clocks, tmp_path / "clock.json").now()
    clocks.wall, clocks.seconds = BEGAN + 300 * DAY_MS, 7.0
    for _ in range(3):
        aging = Aging(clocks, tmp_path / "clock.json")
        assert aging.now() == BEGAN
    clocks.go_on(25 * HOUR_S)
    assert aging.now() == clocks.wall
    (tmp_path / "clock.json").write_text("{")
    assert Aging(clocks, tmp_path / "clock.json").now() == clocks.wall
