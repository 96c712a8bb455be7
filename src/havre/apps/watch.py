"""Whether what runs still answers: instances that do not are named, and the reconciler takes others in their place.

An instance that has begun an answer since the last look is well, and is not asked. The others are asked through their
own door, as at their start. No answer is a failure; so is an error (5xx) on a health path that the owner has named. One
failure says little, several in a row are a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
import sqlalchemy as sa
import structlog

from havre.apps import decide, health, tables
from havre.apps.model import Instance
from havre.apps.strains import Strains
from havre.apps.work import Work
from havre.base.errors import InvalidError
from havre.base.ids import UnitId
from havre.kernel.reconcile import Pass
from havre.kernel.units import Unit

log = structlog.get_logger()
AT_ONCE = 16


@dataclass
class _Pulse:
    """What was seen of one instance: how much it had answered, its failures in a row, and the last of them in words."""

    answered: int = -1
    failures: int = 0
    said: str = ""


@dataclass
class Watch:
    """`hung`: the instances under a verdict, with the reason, until they are replaced."""

    work: Work
    hung: dict[str, str] = field(default_factory=dict)
    _pulses: dict[str, _Pulse] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._strains = Strains(self.work)

    async def pass_once(self) -> Pass:
        """Look at every instance that serves."""
        kernel = self.work.kernel
        wanted, paths = await kernel.store.read(self._read)
        units = {unit.id: unit for unit in await kernel.units.seen()}
        limiter = anyio.CapacityLimiter(AT_ONCE)
        async with anyio.create_task_group() as group:
            for each in wanted:
                unit = units.get(UnitId(each.id))
                if unit is not None and unit.state == "running" and unit.accepting:
                    group.start_soon(self._look, each, unit, paths.get(each.deployment_id, ()), limiter)
        ids = {str(each.id) for each in wanted}
        for known in (self._pulses, self.hung):
            for id in known.keys() - ids:
                known.pop(id, None)
        if self.hung:
            kernel.bus.wake("apps.instance.hung")
        told = await self._strains.look(wanted, units)
        return Pass(wanted=len(wanted), changed=len(self.hung) + told)

    def _read(self, conn: sa.Connection) -> tuple[list[Instance], dict[str, tuple[str, ...]]]:
        busy = {each.key for each in self.work.kernel.operations.live(conn)}
        up = [each for each in tables.instances(conn) if each.state == "UP" and each.app_id not in busy]
        paths: dict[str, tuple[str, ...]] = {}
        for each in up:
            if each.deployment_id not in paths:
                deployment = tables.deployment(conn, each.app_id, each.deployment_id)
                paths[each.deployment_id] = _paths(deployment.env) if deployment is not None else ()
        return up, paths

    async def _look(self, instance: Instance, unit: Unit, paths: Sequence[str], limiter: anyio.CapacityLimiter) -> None:
        pulse = self._pulses.setdefault(instance.id, _Pulse())
        before, pulse.answered = pulse.answered, unit.answered
        if unit.answered > before >= 0:
            pulse.failures = 0
            return
        config = self.work.kernel.config.apps
        async with limiter:
            said = await health.failure(self.work.kernel.units, unit.id, paths=paths, limit_s=config.health_probe_s)
        pulse.failures = pulse.failures + 1 if said else 0
        pulse.said = said
        if decide.is_hung(pulse.failures, most=config.health_failures):
            self.hung[instance.id] = f"{said}, {pulse.failures} times in a row"
            log.warning("apps.instance.hung", app=instance.app_id, instance=instance.id, said=said)


def _paths(env: dict[str, str]) -> tuple[str, ...]:
    try:
        return health.paths_of(env)
    except InvalidError:
        return ()
