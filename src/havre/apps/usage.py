"""What apps used in the last day: processor and memory, remembered in a few numbers for each app.

Three times a minute the control groups of what runs are read; five minutes make one point. The points live in memory:
they are for a page to draw, and begin anew with the control plane.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from havre.apps import tables
from havre.base.flavors import flavor
from havre.base.ids import UnitId
from havre.kernel.kernel import Kernel
from havre.kernel.reconcile import Pass

EVERY_S = 20.0
POINT_MS = 300_000
POINTS = 288


@dataclass(frozen=True, slots=True)
class Point:
    """Percent of what the app's running instances may use, averaged over the five minutes that begin at `at`."""

    at: int
    cpu: float
    memory: float


@dataclass(slots=True)
class _Gathered:
    at: int
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


class UsageHistory:
    """The points of each app, oldest first."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._points: dict[str, deque[Point]] = {}
        self._gathered: dict[str, _Gathered] = {}
        self._counted: dict[str, tuple[int, float]] = {}  # unit: when, processor ms since it started

    def of_app(self, app_id: str, *, since: int) -> Sequence[Point]:
        """Those since `since`, and the one that is being made."""
        found = [each for each in self._points.get(app_id, ()) if each.at >= since]
        begun = self._gathered.get(app_id)
        return [*found, _point(begun)] if begun is not None and begun.cpu else found

    async def pass_once(self) -> Pass:
        """Read what every running instance uses now."""
        flavors = await self._kernel.store.read(_running)
        now, counted = self._kernel.clock.now(), {}
        used: dict[str, list[tuple[float, float]]] = {}
        for id, (app_id, name) in flavors.items():
            usage = await self._kernel.units.usage(UnitId(id))
            if usage.cpu_ms is None or usage.memory_bytes is None:
                continue
            counted[id] = now, usage.cpu_ms
            before = self._counted.get(id)
            if before is None or now <= before[0]:
                continue
            limit = flavor(name)
            cpu = (usage.cpu_ms - before[1]) / (now - before[0]) / limit.cpus
            used.setdefault(app_id, []).append((cpu * 100, usage.memory_bytes / limit.memory_bytes * 100))
        self._counted = counted
        for app_id, values in used.items():
            self._gather(app_id, now, values)
        self._forget(now)
        return Pass(wanted=len(flavors), changed=0)

    def _gather(self, app_id: str, now: int, values: Sequence[tuple[float, float]]) -> None:
        begins = now - now % POINT_MS
        begun = self._gathered.get(app_id)
        if begun is None or begun.at != begins:
            if begun is not None:
                self._points.setdefault(app_id, deque(maxlen=POINTS)).append(_point(begun))
            begun = self._gathered[app_id] = _Gathered(begins)
        begun.cpu.append(sum(cpu for cpu, _ in values) / len(values))
        begun.memory.append(sum(memory for _, memory in values) / len(values))

    def _forget(self, now: int) -> None:
        old = now - POINT_MS * POINTS
        for app_id in [each for each, begun in self._gathered.items() if begun.at < old]:
            del self._gathered[app_id]
            self._points.pop(app_id, None)


def _point(begun: _Gathered) -> Point:
    return Point(begun.at, sum(begun.cpu) / len(begun.cpu), sum(begun.memory) / len(begun.memory))


def _running(conn: sa.Connection) -> dict[str, tuple[str, str]]:
    return {each.id: (each.app_id, each.flavor) for each in tables.instances(conn) if each.state == "UP"}
