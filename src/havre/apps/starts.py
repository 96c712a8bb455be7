"""Starts successors of instances that are gone: a few at a time, the most used apps first.

After a reboot everything is gone at once. A start holds its place until the instance answers, or for a while, so that
two processors are not asked to boot three hundred apps together. A successor accepts once it answers: until then its
requests wait in the app's socket.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import anyio
import sqlalchemy as sa
import structlog
from anyio.abc import TaskGroup

from havre import edge, observe
from havre.apps import activity, decide, health, launch, logbook, starting, tables
from havre.apps.launch import Launch
from havre.apps.model import Action, App, Deployment, Instance, InstanceState, pretty_name
from havre.apps.runtimes import Plan
from havre.apps.watch import Watch
from havre.apps.work import PLAN, Work
from havre.base.errors import HavreError, InvalidError
from havre.base.ids import UnitId, new_instance_id
from havre.kernel.store import Tx
from havre.kernel.units import Unit

log = structlog.get_logger()
HOLD_S = 20.0
RETRY_S = 1.0
LAST_LINES = 10


@dataclass(frozen=True)
class _Successor:
    """Everything that a start needs."""

    app: App
    deployment: Deployment
    plan: Plan
    starts: Launch
    instance: Instance


class Starts:
    """The queue of starts and its workers. `booting`: started, and not accepting until they answer."""

    def __init__(self, work: Work, watch: Watch) -> None:
        self._work = work
        self._kernel = work.kernel
        self._watch = watch
        self._waiting: dict[str, tuple[float, decide.Replace]] = {}
        self._acting: set[str] = set()
        self._booting: set[str] = set()
        self._more = anyio.Event()

    @property
    def booting(self) -> frozenset[str]:
        return frozenset(self._booting)

    def ask(self, steps: Sequence[decide.Replace], loads: Mapping[str, float]) -> None:
        """What waits to be replaced now, in place of what was said before."""
        asked = [each for each in steps if each.instance.id not in self._acting]
        self._waiting = {each.instance.id: (-loads.get(each.instance.app_id, 0.0), each) for each in asked}
        if self._waiting:
            self._more.set()

    async def run(self) -> None:
        """Work on the queue, for ever."""
        count = self._kernel.config.apps.starts_at_once or 2 * (os.cpu_count() or 1)
        async with anyio.create_task_group() as group:
            for _ in range(count):
                group.start_soon(self._work_on, group)

    async def _work_on(self, group: TaskGroup) -> None:
        while True:
            step = await self._next()
            try:
                await self._replace(step, group)
            except HavreError as error:
                log.warning("apps.instance.start_failed", app=step.instance.app_id, error=error.message)
                await self._kernel.clock.sleep(RETRY_S)
            finally:
                self._acting.discard(step.instance.id)

    async def _next(self) -> decide.Replace:
        while not self._waiting:
            if self._more.is_set():  # all workers wait for the same one
                self._more = anyio.Event()
            await self._more.wait()
        id = min(self._waiting, key=lambda each: self._waiting[each][0])
        self._acting.add(id)
        return self._waiting.pop(id)[1]

    async def _replace(self, step: decide.Replace, group: TaskGroup) -> None:
        kernel, old = self._kernel, step.instance
        unit = await kernel.units.get(UnitId(old.id))
        found = await self._successor(old)
        if found is None or (unit is not None and unit.exit is None and not step.hung):
            return  # somebody saw it before it was there
        if step.hung:
            await kernel.units.quiesce(UnitId(old.id))
            await edge.reconcile_now(kernel, old.app_id)
        why, cause = self._why(step, unit)
        last = observe.tail(logbook.file_of(kernel.paths, old.deployment_id, old.id), lines=LAST_LINES)
        id = found.instance.id
        self._booting.add(id)  # before its row is there: who sees the row and no unit yet takes it for lost
        try:
            if not await kernel.store.write(lambda tx: self._swap(tx, step, found, why=why, cause=cause, last=last)):
                self._booting.discard(id)
                return
            log.warning("apps.instance.replaced", app=found.app.id, instance=old.id, by=id, why=why)
            said = f"[havre] {pretty_name(id)} takes the place of {pretty_name(old.id)}: {why}"
            logbook.append(logbook.file_of(kernel.paths, old.deployment_id, id), said)
            if step.hung:
                group.start_soon(self._end, UnitId(old.id))
            else:
                await kernel.units.forget(UnitId(old.id))
            work = self._work
            await work.start_instance(found.app, found.deployment, found.instance, found.plan, found.starts)
        except BaseException:
            self._booting.discard(id)
            raise
        answered = anyio.Event()
        group.start_soon(self._admit_once_healthy, found, answered)
        with anyio.move_on_after(HOLD_S):
            await answered.wait()

    async def _successor(self, old: Instance) -> _Successor | None:
        """None when what `old` is of does not serve any more."""

        def look(conn: sa.Connection) -> tuple[App | None, Deployment | None, object]:
            deployment = tables.deployment(conn, old.app_id, old.deployment_id)
            release = tables.release(conn, (deployment.release_id or deployment.id) if deployment else "")
            return tables.app(conn, old.app_id), deployment, release.plan if release else None

        app, deployment, plan = await self._kernel.store.read(look)
        if app is None or deployment is None or plan is None or app.serving != deployment.id:
            return None
        planned = PLAN.validate_python(plan)
        stack = await self._work.same_stack(deployment, planned, old.stack)
        release_id = str(deployment.release_id or deployment.id)
        starts = launch.without_hooks(await self._work.launch(app, deployment, planned, release=release_id))
        new = replace(old, id=new_instance_id(), created_at=self._kernel.clock.now(), stack=stack)
        return _Successor(app, deployment, planned, starts, new)

    def _why(self, step: decide.Replace, unit: Unit | None) -> tuple[str, str]:
        """Why another takes its place, in words; and the cause, with the contract's words."""
        if step.hung:
            return step.hung, "Monitoring/Timeout"
        ended = unit.exit if unit is not None else None
        if ended is None or not ended.was_seen:
            return "it was gone with its monitor or with the machine", "Monitoring/Maintenance"
        if ended.oom:
            return starting.out_of_memory(step.instance.flavor), "Monitoring/Unreachable"
        return f"it ended by itself ({ended})", "Monitoring/Unreachable"

    def _swap(
        self, tx: Tx, step: decide.Replace, found: _Successor, *, why: str, cause: str, last: Sequence[str]
    ) -> bool:
        """The successor is wanted, the other is not; told to the owner. False when somebody else acts on the app."""
        old, app = step.instance, found.app
        current = tables.instance(tx.conn, old.id)
        busy = any(each.key == app.id for each in self._kernel.operations.live(tx.conn))
        if busy or current is None or current.state is not InstanceState.UP:
            return False
        ended_by = "hung" if step.hung else "crash" if step.crashed else "lost"
        self._work.end_instance(tx, old.id, ended_by=ended_by)
        self._work.add_instance(tx, app, found.instance, found.starts)
        facts: dict[str, Any] = {"instance": old.id, "successor": found.instance.id, "why": why, "last": list(last)}
        tx.emit("apps.instance.replaced", owner_id=app.owner_id, subject=app.id, **facts)
        if ended_by != "lost" and not self._was_told(tx, app):
            activity.add(tx, found.deployment, Action.REPLACE, cause=f"{cause}: {why}")
        return True

    def _was_told(self, tx: Tx, app: App) -> bool:
        """One line of activity is enough for a series of crashes."""
        rows = tables.deployments(tx.conn, app.id, limit=1, action=Action.REPLACE)
        return bool(rows) and rows[0].created_at > tx.now - decide.CRASH_WINDOW_MS

    async def _admit_once_healthy(self, found: _Successor, answered: anyio.Event) -> None:
        kernel, id, limit = self._kernel, UnitId(found.instance.id), self._kernel.config.apps.health_timeout_s
        try:
            env = found.deployment.env
            await health.wait_healthy(kernel.units, id, plan=found.plan, env=env, limit_s=limit, clock=kernel.clock)
            up = await kernel.store.read(lambda conn: tables.serving(conn, found.app))
            if any(each.id == found.instance.id for each in up):
                await edge.expect(kernel, found.app.id)
                await kernel.units.accept(id, peers=len(up) - 1)
                await edge.reconcile_now(kernel, found.app.id)
        except InvalidError as error:
            self._watch.hung[id] = error.message  # whether it ended or never answered: another takes its place
            kernel.bus.wake("apps.instance.hung")
        except HavreError as error:
            log.warning("apps.instance.admit_failed", app=found.app.id, instance=id, error=error.message)
        finally:
            self._booting.discard(id)
            answered.set()
            kernel.bus.wake("apps.instance.booted")  # its end was nobody's until now: it may have come already

    async def _end(self, id: UnitId) -> None:
        """A hung instance has lost its place: what is left of it goes."""
        try:
            await self._kernel.units.stop(id, grace_s=self._kernel.config.apps.grace_s)
            await self._kernel.units.forget(id)
        except HavreError as error:
            log.warning("apps.instance.end_failed", instance=id, error=error.message)
