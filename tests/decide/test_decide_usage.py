"""What apps used, remembered in points of five minutes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from havre.apps.usage import POINT_MS, POINTS, UsageHistory

pytestmark = pytest.mark.anyio


class Machine:
    """One instance of one app on a store, units and a clock made of plain values."""

    def __init__(self) -> None:
        self.at, self.cpu_ms, self.memory = 1_800_000_000_000, 0.0, 512 * 1024**2
        self.running = {"instance": ("app", "XS")}
        self.clock = self.store = self.units = self

    def now(self) -> int:
        return self.at

    async def read(self, _: Any) -> dict[str, tuple[str, str]]:
        return self.running

    async def usage(self, _: Any) -> Any:
        return SimpleNamespace(cpu_ms=self.cpu_ms, memory_bytes=self.memory)

    async def passes(self, history: UsageHistory, *, ms: int, busy: float) -> None:
        self.at += ms
        self.cpu_ms += ms * busy
        await history.pass_once()


async def test_a_point_says_what_share_of_its_size_an_app_used() -> None:
    machine = Machine()
    history = UsageHistory(machine)  # type: ignore[arg-type]
    await history.pass_once()
    assert history.of_app("app", since=0) == []
    for _ in range(3):
        await machine.passes(history, ms=20_000, busy=0.5)
    (point,) = history.of_app("app", since=0)
    assert (round(point.cpu), round(point.memory)) == (50, 50)


async def test_a_day_is_kept_and_an_app_that_is_gone_is_forgotten() -> None:
    machine = Machine()
    history = UsageHistory(machine)  # type: ignore[arg-type]
    for _ in range(POINTS + 20):
        await machine.passes(history, ms=POINT_MS, busy=0.1)
    found = history.of_app("app", since=0)
    assert len(found) == POINTS + 1 and [each.at for each in found] == sorted(each.at for each in found)
    machine.running = {}
    for _ in range(POINTS + 2):
        await machine.passes(history, ms=POINT_MS, busy=0)
    assert history.of_app("app", since=0) == []
