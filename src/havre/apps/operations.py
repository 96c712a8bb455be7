"""The durable operations of apps: their steps in order, what undoes each, and where there is no way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from havre import observe
from havre.apps import logbook, tables, tasks
from havre.apps.endings import end_deployment
from havre.apps.model import DeploymentState
from havre.apps.releases import Releases
from havre.apps.runtimes import Plan
from havre.apps.scale import ScaleArgs, Scaling
from havre.apps.stacks import Roots
from havre.apps.tasks import TaskEnd
from havre.apps.work import Names, Work
from havre.kernel.clock import Clock
from havre.kernel.config import Paths
from havre.kernel.operations import Operation, Run, Step
from havre.kernel.store import Tx


@dataclass(frozen=True)
class DeployArgs:
    """again: a release to serve as it is, if it can be. fresh: on today's packages, whatever the age of our lists."""

    app_id: str
    deployment_id: str
    use_cache: bool
    fresh: bool = False
    again: str = ""


@dataclass(frozen=True)
class StopArgs:
    """`deployment_id` is the UNDEPLOY row; empty when the app is deleted."""

    app_id: str
    deployment_id: str = ""


@dataclass(frozen=True)
class Operations:
    """The operations of one installation."""

    deploy: Operation[DeployArgs]
    task: Operation[DeployArgs]
    undeploy: Operation[StopArgs]
    delete: Operation[StopArgs]
    scale: Operation[ScaleArgs]


def operations(work: Work) -> Operations:
    """The operations, whose steps use `work`."""
    builds = Builds(work)
    scale = Scaling(work).operation
    return Operations(_deploy(work, builds), _task(work, builds), _undeploy(work), _delete(work), scale)


class Builds:
    """The steps from a commit to its release, which a deployment that serves and a task have in common."""

    def __init__(self, work: Work) -> None:
        self._work, self._releases = work, Releases(work)
        self.name: Step[DeployArgs, Names] = Step("name", self._choose)
        self.plan: Step[DeployArgs, Plan] = Step("detect", self._detect)
        self.roots: Step[DeployArgs, Roots] = Step("stack", self._stack)
        self.steps: tuple[Step[DeployArgs, Any], ...] = (
            self.name,
            Step("fetch", self._fetch, undo=self._drop_release),
            self.plan,
            self.roots,
            Step("build", self._build, undo=self._stop_build),
        )

    async def _choose(self, run: Run[DeployArgs]) -> Names:
        app, deployment = await self._work.read(run.args.app_id, run.args.deployment_id)
        deployment = await self._work.current(app, deployment)
        asked = run.args
        return await self._releases.choose(
            app, deployment, use_cache=asked.use_cache, fresh=asked.fresh, again=asked.again
        )

    async def _fetch(self, run: Run[DeployArgs]) -> None:
        app, deployment = await self._work.read(run.args.app_id, run.args.deployment_id)
        await self._releases.fetch(app, deployment, run.result(self.name))

    async def _drop_release(self, run: Run[DeployArgs]) -> None:
        await self._releases.drop_release(run.args.app_id, run.args.deployment_id, run.result(self.name))

    async def _detect(self, run: Run[DeployArgs]) -> Plan:
        app, deployment = await self._work.read(run.args.app_id, run.args.deployment_id)
        return await self._releases.detect(app, deployment, run.result(self.name))

    async def _stack(self, run: Run[DeployArgs]) -> Roots:
        app, deployment = await self._work.read(run.args.app_id, run.args.deployment_id)
        names, plan = run.result(self.name), run.result(self.plan)
        return await self._releases.stack(app, deployment, names, plan, fresh=run.args.fresh)

    async def _build(self, run: Run[DeployArgs]) -> None:
        app, deployment = await self._work.read(run.args.app_id, run.args.deployment_id)
        names, plan, roots = run.result(self.name), run.result(self.plan), run.result(self.roots)
        await self._releases.build(app, deployment, names, plan, roots)

    async def _stop_build(self, run: Run[DeployArgs]) -> None:
        await self._releases.stop_build(run.result(self.name))


def _deploy(work: Work, builds: Builds) -> Operation[DeployArgs]:
    paths, clock = work.kernel.paths, work.kernel.clock
    name = builds.name

    async def boot(run: Run[DeployArgs]) -> None:
        app, deployment = await work.read(run.args.app_id, run.args.deployment_id)
        await work.boot(app, deployment, run.result(name), run.result(builds.plan), run.result(builds.roots))

    async def stop_booted(run: Run[DeployArgs]) -> None:
        await work.stop_booted(run.args.app_id, run.result(name))

    async def switch(run: Run[DeployArgs]) -> None:
        app, deployment = await work.read(run.args.app_id, run.args.deployment_id)
        await work.switch(app, deployment, run.result(name))

    async def retire(run: Run[DeployArgs]) -> None:
        await work.retire_older(run.args.app_id, run.result(name).generation)

    def on_step(tx: Tx, run: Run[DeployArgs], step: str) -> None:
        tx.emit("apps.deployment.step_begun", subject=run.args.app_id, deployment=run.args.deployment_id, step=step)
        if step == "retire":
            end_deployment(tx, run.args.app_id, run.args.deployment_id, DeploymentState.OK)
            logbook.say(paths, run.args.deployment_id, f"Successfully deployed in {_took(run, clock)}")
        else:
            logbook.say(paths, run.args.deployment_id, f"> {step}")

    def on_done(tx: Tx, run: Run[DeployArgs]) -> None:
        end_deployment(tx, run.args.app_id, run.args.deployment_id, DeploymentState.OK)
        observe.end_source(tx, run.args.deployment_id)

    def on_undone(tx: Tx, run: Run[DeployArgs], error: str, cancelled: bool) -> None:
        _undone(tx, run, paths, error=error, cancelled=cancelled, took=_took(run, clock))

    steps = (
        *builds.steps,
        Step("boot", boot, undo=stop_booted),
        Step("switch", switch, final=True),
        Step("retire", retire),
    )
    return Operation("apps.deploy", DeployArgs, steps, on_step=on_step, on_done=on_done, on_undone=on_undone)


def _task(work: Work, builds: Builds) -> Operation[DeployArgs]:
    """A command that runs to its end. How it ended is the deployment's outcome, not a failure of the operation."""
    paths, clock = work.kernel.paths, work.kernel.clock
    name = builds.name

    async def begin(run: Run[DeployArgs]) -> TaskEnd:
        app, deployment = await work.read(run.args.app_id, run.args.deployment_id)
        return await tasks.run(
            work, app, deployment, run.result(name), run.result(builds.plan), run.result(builds.roots)
        )

    async def stop(run: Run[DeployArgs]) -> None:
        await work.stop_booted(run.args.app_id, run.result(name))

    async def finish(run: Run[DeployArgs]) -> None:
        await tasks.finish(work, run.args.app_id, run.result(name))

    def on_step(tx: Tx, run: Run[DeployArgs], step: str) -> None:
        tx.emit("apps.deployment.step_begun", subject=run.args.app_id, deployment=run.args.deployment_id, step=step)
        logbook.say(paths, run.args.deployment_id, f"> {step}")

    def on_done(tx: Tx, run: Run[DeployArgs]) -> None:
        ended = run.result(running)
        said = f"Task {'ended' if ended.ok else 'failed'} after {ended.took_s:.1f} s: {ended.text}"
        logbook.say(paths, run.args.deployment_id, said)
        state = DeploymentState.OK if ended.ok else DeploymentState.FAIL
        end_deployment(tx, run.args.app_id, run.args.deployment_id, state, error="" if ended.ok else ended.text)
        observe.end_source(tx, run.args.deployment_id)

    def on_undone(tx: Tx, run: Run[DeployArgs], error: str, cancelled: bool) -> None:
        if _undone(tx, run, paths, error=error, cancelled=cancelled, took=_took(run, clock)):
            tasks.stand_down(tx, run.args.app_id)

    running: Step[DeployArgs, TaskEnd] = Step("run", begin, undo=stop)
    steps = (*builds.steps, running, Step("finish", finish, final=True))
    return Operation("apps.task", DeployArgs, steps, on_step=on_step, on_done=on_done, on_undone=on_undone)


def _took(run: Run[DeployArgs], clock: Clock) -> str:
    return f"{(clock.now() - run.created_at) / 1000:.1f} s"


def _undone(tx: Tx, run: Run[DeployArgs], paths: Paths, *, error: str, cancelled: bool, took: str) -> bool:
    """The deployment failed or was cancelled; of a cancelled one the row knows why.

    False when that is known already: it was cancelled while it waited, and nothing was done for it.
    """
    made = tables.deployment(tx.conn, run.args.app_id, run.args.deployment_id)
    if made is None or made.state is not DeploymentState.WIP:
        return False
    why = made.error if cancelled else error
    said = f"Deployment cancelled{': ' if why else ''}{why}" if cancelled else f"Deploy failed in {took}: {why}"
    logbook.say(paths, made.id, said)
    state = DeploymentState.CANCELLED if cancelled else DeploymentState.FAIL
    end_deployment(tx, run.args.app_id, made.id, state, error=why)
    observe.end_source(tx, made.id)
    return True


def _undeploy(work: Work) -> Operation[StopArgs]:
    async def stop(run: Run[StopArgs]) -> None:
        await work.stop_all(run.args.app_id)

    def on_done(tx: Tx, run: Run[StopArgs]) -> None:
        end_deployment(tx, run.args.app_id, run.args.deployment_id, DeploymentState.OK)

    return Operation("apps.undeploy", StopArgs, (Step("stop", stop, final=True),), on_done=on_done)


def _delete(work: Work) -> Operation[StopArgs]:
    async def stop(run: Run[StopArgs]) -> None:
        await work.stop_all(run.args.app_id)

    async def remove(run: Run[StopArgs]) -> None:
        await work.remove_files(run.args.app_id)

    def on_done(tx: Tx, run: Run[StopArgs]) -> None:
        work.forget_app(tx, run.args.app_id)

    steps = (Step("stop", stop, final=True), Step("remove", remove))
    return Operation("apps.delete", StopArgs, steps, on_done=on_done)
