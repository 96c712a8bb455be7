"""What apps used: processor and memory, a point for each minute, kept in the store through any restart.

Three times a minute the control groups of what runs are read. Once a minute the means are written, for all apps in one
transaction; each quarter of an hour what is older becomes coarser (see `usage_tables`). A control plane that is killed
loses the minute that had begun, never one that was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from havre.apps import tables, usage_tables
from havre.apps.usage_tables import MINUTE_MS, QUARTER_MS, Point
from havre.base.flavors import flavor
from havre.base.ids import UnitId
from havre.kernel.kernel import Kernel
from havre.kernel.reconcile import Pass
from havre.kernel.store import Tx

EVERY_S = 20.0


@dataclass(slots=True)
class _Gathered:
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def point(self, at: int) -> Point:
        return Point(at, sum(self.cpu) / len(self.cpu), sum(self.memory) / len(self.memory))


class UsageHistory:
    """The minute that is under way, in memory, and what was, in the store."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._minute = 0
        self._gathered: dict[str, _Gathered] = {}
        self._counted: dict[str, tuple[int, float]] = {}  # unit: when, processor ms since it started
        self._folded = 0  # the beginning of the quarter until which quarters are made

    async def of_app(self, app_id: str, *, since: int) -> Sequence[Point]:
        """Those since `since`, oldest first, and the one that is being made. Older than a day they are of a quarter."""
        found = await self._kernel.store.read(lambda conn: usage_tables.of_app(conn, app_id, since=since))
        begun = self._gathered.get(app_id)
        if begun is None or self._minute < since:
            return found
        return [*(each for each in found if each.at < self._minute), begun.point(self._minute)]

    async def pass_once(self) -> Pass:
        """Read what every running instance uses now; write the minute that has ended."""
        now = self._kernel.clock.now()
        changed = await self._write(now)
        flavors, counted = await self._kernel.store.read(_running), {}
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
            gathered = self._gathered.setdefault(app_id, _Gathered())
            gathered.cpu.append(sum(cpu for cpu, _ in values) / len(values))
            gathered.memory.append(sum(memory for _, memory in values) / len(values))
        return Pass(wanted=len(flavors), changed=changed)

    async def _write(self, now: int) -> int:
        """Begin the minute of `now`; what was gathered of the one before is durable first."""
        minute, quarter = now - now % MINUTE_MS, now - now % QUARTER_MS
        if minute == self._minute:
            return 0
        points = {app_id: each.point(self._minute) for app_id, each in self._gathered.items()}
        made = 0
        if points or quarter > self._folded:

            def work(tx: Tx) -> int:
                usage_tables.put(tx, points)
                return usage_tables.fold(tx, now=now) if quarter > self._folded else 0

            made = await self._kernel.store.write(work)
        self._minute, self._gathered, self._folded = minute, {}, quarter
        return len(points) + made


def _running(conn: sa.Connection) -> dict[str, tuple[str, str]]:
    return {each.id: (each.app_id, each.flavor) for each in tables.instances(conn) if each.state == "UP"}
