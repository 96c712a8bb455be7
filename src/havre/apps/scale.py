"""The durable operation that takes another scale: the instances that are missing start, those too many are drained.

What stays is not touched, and what serves goes on serving until what was added is healthy. Nothing is built: the new
instances are of the release, variables and stack that serve already. With no instance left the app is asleep; its
socket stays open and whoever calls there wakes it (`sleep`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from havre import edge, observe
from havre.apps import launch, logbook, scaling, tables
from havre.apps.endings import end_deployment
from havre.apps.model import App, Deployment, DeploymentState, Instance, InstanceState
from havre.apps.runtimes import Plan
from havre.apps.scaling import Scale
from havre.apps.work import PLAN, Work
from havre.base.errors import ConflictError
from havre.base.ids import InstanceId, UnitId, new_instance_id
from havre.kernel.operations import Operation, Run, Step
from havre.kernel.store import Tx


@dataclass(frozen=True)
class ScaleArgs:
    """`deployment_id` is the row UPSCALE or DOWNSCALE; `instances` 0 with any flavor: sleep."""

    app_id: str
    deployment_id: str
    instances: int
    flavor: str
    why: str


@dataclass(frozen=True)
class Fleet:
    """Which instances there will be, chosen before any of it is done. `add`: ids with their numbers."""

    add: tuple[tuple[InstanceId, int], ...]
    keep: tuple[InstanceId, ...]
    remove: tuple[InstanceId, ...]
    was: int


def decide_fleet(serving: list[Instance], to: Scale, fresh: list[InstanceId]) -> Fleet:
    """Keep what fits, the lowest numbers first; add under free numbers what is missing; remove the rest."""
    fitting = [each for each in serving if each.flavor == to.flavor][: to.instances]
    used = {each.number for each in fitting}
    free = [number for number in range(to.instances) if number not in used]
    missing = to.instances - len(fitting)
    add = tuple(zip(fresh[:missing], free[:missing], strict=True))
    gone = tuple(each.id for each in serving if each not in fitting)
    return Fleet(add, tuple(each.id for each in fitting), gone, len(serving))


class Scaling:
    """Carries out changes of scale."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._kernel = work.kernel
        self._name: Step[ScaleArgs, Fleet] = Step("name", self._choose)
        self.operation: Operation[ScaleArgs] = Operation(
            "apps.scale",
            ScaleArgs,
            (
                self._name,
                Step("boot", self._boot, undo=self._stop_booted),
                Step("switch", self._switch, final=True),
                Step("retire", self._retire),
            ),
            on_step=self._on_step,
            on_done=self._on_done,
            on_undone=self._on_undone,
        )

    async def _serving(self, run: Run[ScaleArgs]) -> tuple[App, Deployment, list[Instance], Plan]:
        """The app with what serves it. Raises ConflictError when it was stopped meanwhile."""

        def look(conn: sa.Connection) -> tuple[App | None, Deployment | None, list[Instance], object]:
            app = tables.app(conn, run.args.app_id)
            if app is None or app.serving is None:
                return app, None, [], None
            deployment = tables.deployment(conn, app.id, app.serving)
            release = tables.release(conn, deployment.release_id or deployment.id) if deployment else None
            return app, deployment, tables.serving(conn, app), release.plan if release else None

        app, deployment, serving, plan = await self._kernel.store.read(look)
        if app is None or deployment is None or plan is None:
            raise ConflictError("the app has been stopped meanwhile")
        return app, deployment, serving, PLAN.validate_python(plan)

    async def _choose(self, run: Run[ScaleArgs]) -> Fleet:
        app, _, serving, _ = await self._serving(run)
        to = Scale(run.args.instances, run.args.flavor)
        if to.instances:  # what the owner allows may have changed since this was asked for
            to = scaling.bounds_of(app).nearest(to)
        return decide_fleet(serving, to, [new_instance_id() for _ in range(to.instances)])

    async def _boot(self, run: Run[ScaleArgs]) -> None:
        fleet = run.result(self._name)
        if not fleet.add:
            return
        app, deployment, serving, plan = await self._serving(run)
        release = await self._kernel.store.read(lambda conn: tables.release(conn, deployment.release_id or ""))
        known = serving[0].stack if serving else release.stack if release is not None else ""
        stack = await self._work.same_stack(deployment, plan, known)
        size = scaling.bounds_of(app).nearest(Scale(len(fleet.add), run.args.flavor)).flavor
        made = [
            self._work.instance(deployment, app.generation, number, id, size=size, stack=stack)
            for id, number in fleet.add
        ]
        release_id = str(deployment.release_id or deployment.id)
        starts = launch.without_hooks(await self._work.launch(app, deployment, plan, release=release_id))
        await self._work.boot_all(app, deployment, made, plan, starts, told=run.args.deployment_id)

    async def _stop_booted(self, run: Run[ScaleArgs]) -> None:
        if run.has(self._name):
            ids = {id for id, _ in run.result(self._name).add}
            await self._work.retire(await self._instances(run, ids), drain=False)

    async def _switch(self, run: Run[ScaleArgs]) -> None:
        units, fleet = self._kernel.units, run.result(self._name)
        after = [*fleet.keep, *(id for id, _ in fleet.add)]
        if not after:
            await units.hold(edge.app_socket(self._kernel.paths, run.args.app_id))
        for id in after:
            unit = await units.get(UnitId(id))
            if unit is not None and unit.state != "exited":  # else the reconciler takes another in its place
                await units.accept(UnitId(id), peers=len(after) - 1)
        await self._kernel.store.write(lambda tx: self._record(tx, run, fleet))
        await edge.reconcile_now(self._kernel, run.args.app_id)
        for id in fleet.remove:
            await units.quiesce(UnitId(id))
        if fleet.remove:
            await edge.reconcile_now(self._kernel, run.args.app_id)

    def _record(self, tx: Tx, run: Run[ScaleArgs], fleet: Fleet) -> None:
        for id, _ in fleet.add:
            tables.set_instance_state(tx, id, InstanceState.UP)
        for id in fleet.remove:
            tables.set_instance_state(tx, id, InstanceState.STOPPING)
        tables.set_asleep(tx, run.args.app_id, asleep=not fleet.keep and not fleet.add)

    async def _retire(self, run: Run[ScaleArgs]) -> None:
        await self._work.retire(await self._instances(run, set(run.result(self._name).remove)))

    async def _instances(self, run: Run[ScaleArgs], ids: set[InstanceId]) -> list[Instance]:
        found = await self._kernel.store.read(lambda conn: tables.instances(conn, app_id=run.args.app_id))
        return [each for each in found if each.id in ids]

    # what its owner sees

    def _on_step(self, tx: Tx, run: Run[ScaleArgs], step: str) -> None:
        tx.emit("apps.deployment.step_begun", subject=run.args.app_id, deployment=run.args.deployment_id, step=step)
        logbook.say(self._kernel.paths, run.args.deployment_id, f"> {step}")

    def _on_done(self, tx: Tx, run: Run[ScaleArgs]) -> None:
        args, fleet = run.args, run.result(self._name)
        count = len(fleet.keep) + len(fleet.add)
        said = f"scaled to {count} because {args.why}" if count else f"asleep because {args.why}"
        logbook.say(self._kernel.paths, args.deployment_id, f"Successfully {said}")
        end_deployment(tx, args.app_id, args.deployment_id, DeploymentState.OK)
        observe.end_source(tx, args.deployment_id)
        app = tables.app(tx.conn, args.app_id)
        if app is not None:
            facts: dict[str, Any] = {"instances": count, "was": fleet.was, "flavor": args.flavor, "why": args.why}
            tx.emit("apps.app.scaled", owner_id=app.owner_id, subject=app.id, said=said, **facts)

    def _on_undone(self, tx: Tx, run: Run[ScaleArgs], error: str, cancelled: bool) -> None:
        said = "Scaling cancelled" if cancelled else f"Scaling failed: {error}"
        logbook.say(self._kernel.paths, run.args.deployment_id, said)
        state = DeploymentState.CANCELLED if cancelled else DeploymentState.FAIL
        end_deployment(tx, run.args.app_id, run.args.deployment_id, state, error=error)
        observe.end_source(tx, run.args.deployment_id)
