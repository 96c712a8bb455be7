"""Instances that have come up against one of their bounds: their owner is told, in the log and by an event.

Nobody else notices them, which is what the bounds are for; the owner would look for the reason elsewhere. Each bound of
an instance is told once an hour, in the app's activity once a day. Memory is told by the end of the instance (`starts`)
wherever control groups hold it to its flavor, and what a build goes past by the build.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from prometheus_client import Counter

from havre import observe
from havre.apps import activity, decide, logbook, specs, tables
from havre.apps.decide import Pressure
from havre.apps.model import Instance
from havre.apps.work import Work
from havre.base.flavors import FLAVORS, flavor, rank
from havre.base.ids import UnitId
from havre.kernel.store import Tx
from havre.kernel.units import Unit

log = structlog.get_logger()
AGAIN_S = 3600.0
SOURCE = "bounds"


@dataclass
class Strains:
    """What was seen of each instance at the last look, and when what was told."""

    work: Work
    _seen: dict[str, Pressure] = field(default_factory=dict)
    _told: dict[tuple[str, str], float] = field(default_factory=dict)
    _is_first: bool = True

    def __post_init__(self) -> None:
        self._count = Counter(
            "havre_apps_strains", "Bounds that instances came up against.", ["bound"], registry=self.work.kernel.metrics
        )

    async def look(self, instances: Sequence[Instance], units: Mapping[UnitId, Unit]) -> int:
        """Look at every instance that runs. What was there before our first look was told by whoever looked then."""
        told = 0
        for each in instances:
            unit = units.get(UnitId(each.id))
            if unit is None or unit.state != "running":
                continue
            strain = await self.work.kernel.units.strain(unit.id)
            now = Pressure(
                slowed=unit.slowed, forks_refused=strain.forks_refused, is_crowded=strain.is_crowded,
                is_full=strain.is_full, has_all_files=strain.has_all_files, is_large=strain.is_large,
                is_beset=unit.is_beset, is_out=unit.is_out,
            )  # fmt: skip
            before = self._seen.get(each.id, now if self._is_first else Pressure())
            self._seen[each.id] = now
            for bound in decide.decide_strains(before, now):
                told += await self._tell(each, bound)
        self._is_first = False
        ids = {str(each.id) for each in instances}
        for id in self._seen.keys() - ids:
            del self._seen[id]
        for key in [each for each in self._told if each[0] not in ids]:
            del self._told[key]
        return told

    async def _tell(self, instance: Instance, bound: str) -> int:
        now_s = self.work.kernel.clock.monotonic()
        if now_s - self._told.get((instance.id, bound), -math.inf) < AGAIN_S:
            return 0
        said = in_words(bound, instance.flavor)
        file = logbook.file_of(self.work.kernel.paths, instance.deployment_id, specs.source_of(instance, SOURCE))
        if not await self.work.kernel.store.write(lambda tx: self._write(tx, instance, bound, said, file)):
            return 0
        self._told[instance.id, bound] = now_s
        self._count.labels(bound).inc()
        logbook.append(file, f"[havre] {said}")
        log.warning("apps.instance.strained", app=instance.app_id, instance=instance.id, bound=bound)
        return 1

    def _write(self, tx: Tx, instance: Instance, bound: str, said: str, file: Path) -> bool:
        app = tables.app(tx.conn, instance.app_id)
        if app is None or app.deleted or tables.instance(tx.conn, instance.id) is None:
            return False
        source = observe.LogSource(
            id=specs.source_of(instance, SOURCE), app_id=app.id, owner_id=app.owner_id, path=file,
            deployment_id=instance.deployment_id, instance_id=instance.id, commit=instance.commit_id,
        )  # fmt: skip
        observe.add_source(tx, source)
        facts = {"instance": instance.id, "bound": bound, "said": said}
        tx.emit("apps.instance.strained", owner_id=app.owner_id, subject=app.id, **facts)
        deployment = tables.deployment(tx.conn, app.id, instance.deployment_id)
        is_busy = any(each.key == app.id for each in self.work.kernel.operations.live(tx.conn))
        if deployment is not None and not is_busy:  # the newest line is the one that is under way
            activity.add_strain(tx, deployment, cause=f"Monitoring/Strained: {said}")
        return True


def in_words(bound: str, size: str) -> str:
    """What the owner reads."""
    larger = FLAVORS[rank(size) + 1].name if rank(size) + 1 < len(FLAVORS) else ""
    mib = flavor(size).memory_bytes // 2 // 1024**2
    hint = f"; flavor {larger} has room for more (clever scale --flavor {larger})" if larger else ""
    match bound:
        case "output":
            return "it prints more than 4 MiB a second: its output is slowed down, and so is what waits to print"
        case "processes":
            return "it has as many processes and threads as an instance may have: more are refused"
        case "bytes":
            return f"what it has written since its start fills the {mib} MiB for that: more is refused{hint}"
        case "files":
            return f"it has made as many files as an instance of flavor {size} may have: more are refused{hint}"
        case "memory":
            return f"its processes use more memory than flavor {size} has, and this machine cannot stop them{hint}"
        case "way out":
            return "it has as many connections open to the outside as an instance may have: the next waits for an end"
    return "it has as many connections open as an instance may have: who comes next waits until one ends"
