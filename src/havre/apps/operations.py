"""The durable operations of apps: their steps in order, what undoes each, and where there is no way back."""

from __future__ import annotations

from dataclasses import dataclass

from havre.apps import logbook, tables
from havre.apps.model import DeploymentState
from havre.apps.runtimes import Plan
from havre.apps.stacks import Roots
from havre.apps.work import Names, Work
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
    undeploy: Operation[StopArgs]
    delete: Operation[StopArgs]


def operations(work: Work) -> Operations:
    """The operations, whose steps use `work`."""
    return Operations(_deploy(work), _undeploy(work), _delete(work))


def _deploy(work: Work) -> Operation[DeployArgs]:
    paths, clock = work.kernel.paths, work.kernel.clock

    async def choose(run: Run[DeployArgs]) -> Names:
        app, deployment = await work.read(run.args.app_id, run.args.deployment_id)
        asked = run.args
        return await work.choose(app, deployment, use_cache=asked.use_cache, fresh=asked.fresh, again=asked.again)

    async def fetch(run: Run[DeployArgs]) -> None:
        app, deployment = await work.read(run.args.app_id, run.args.deployment_id)
        await work.fetch(app, deployment, run.result(name))

    async def drop_release(run: Run[DeployArgs]) -> None:
        await work.drop_release(run.args.app_id, run.args.deployment_id, run.result(name))

    async def detect(run: Run[DeployArgs]) -> Plan:
        app, deployment = await work.read(run.args.app_id, run.args.deployment_id)
        return await work.detect(app, deployment, run.result(name))

    async def stack(run: Run[DeployArgs]) -> Roots:
        app, deployment = await work.read(run.args.app_id, run.args.deployment_id)
        return await work.stack(app, deployment, run.result(name), run.result(found), fresh=run.args.fresh)

    async def build(run: Run[DeployArgs]) -> None:
        app, deployment = await work.read(run.args.app_id, run.args.deployment_id)
        await work.build(app, deployment, run.result(name), run.result(found), run.result(roots))

    async def stop_build(run: Run[DeployArgs]) -> None:
        await work.stop_build(run.result(name))

    async def boot(run: Run[DeployArgs]) -> None:
        app, deployment = await work.read(run.args.app_id, run.args.deployment_id)
        await work.boot(app, deployment, run.result(name), run.result(found), run.result(roots))

    async def stop_booted(run: Run[DeployArgs]) -> None:
        await work.stop_booted(run.args.app_id, run.result(name))

    async def switch(run: Run[DeployArgs]) -> None:
        app, deployment = await work.read(run.args.app_id, run.args.deployment_id)
        await work.switch(app, deployment, run.result(name))

    async def retire(run: Run[DeployArgs]) -> None:
        await work.retire_older(run.args.app_id, run.result(name).generation)

    def seconds(run: Run[DeployArgs]) -> str:
        return f"{(clock.now() - run.created_at) / 1000:.1f} s"

    def on_step(tx: Tx, run: Run[DeployArgs], step: str) -> None:
        tx.emit("apps.deployment.step_begun", subject=run.args.app_id, deployment=run.args.deployment_id, step=step)
        if step == "retire":
            _end(tx, run.args.app_id, run.args.deployment_id, DeploymentState.OK)
            logbook.say(paths, run.args.deployment_id, f"Successfully deployed in {seconds(run)}")
        else:
            logbook.say(paths, run.args.deployment_id, f"> {step}")

    def on_done(tx: Tx, run: Run[DeployArgs]) -> None:
        _end(tx, run.args.app_id, run.args.deployment_id, DeploymentState.OK)
        _end_log(tx, run.args.deployment_id)

    def on_undone(tx: Tx, run: Run[DeployArgs], error: str, cancelled: bool) -> None:
        state = DeploymentState.CANCELLED if cancelled else DeploymentState.FAIL
        said = "Deployment cancelled" if cancelled else f"Deploy failed in {seconds(run)}: {error}"
        logbook.say(paths, run.args.deployment_id, said)
        _end(tx, run.args.app_id, run.args.deployment_id, state, error=error)
        _end_log(tx, run.args.deployment_id)

    name: Step[DeployArgs, Names] = Step("name", choose)
    found: Step[DeployArgs, Plan] = Step("detect", detect)
    roots: Step[DeployArgs, Roots] = Step("stack", stack)
    steps = (
        name,
        Step("fetch", fetch, undo=drop_release),
        found,
        roots,
        Step("build", build, undo=stop_build),
        Step("boot", boot, undo=stop_booted),
        Step("switch", switch, final=True),
        Step("retire", retire),
    )
    return Operation("apps.deploy", DeployArgs, steps, on_step=on_step, on_done=on_done, on_undone=on_undone)


def _undeploy(work: Work) -> Operation[StopArgs]:
    async def stop(run: Run[StopArgs]) -> None:
        await work.stop_all(run.args.app_id)

    def on_done(tx: Tx, run: Run[StopArgs]) -> None:
        _end(tx, run.args.app_id, run.args.deployment_id, DeploymentState.OK)

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


def _end(tx: Tx, app_id: str, deployment_id: str, state: DeploymentState, *, error: str = "") -> None:
    """End the deployment's row, once, with the event that watchers wait for."""
    if not tables.end_deployment(tx, deployment_id, state, error=error):
        return
    app, made = tables.app(tx.conn, app_id), tables.deployment(tx.conn, app_id, deployment_id)
    if app is not None and made is not None:
        facts = {"deployment": made.id, "state": made.state, "action": made.action, "commit": made.commit_id}
        facts |= {"cause": made.cause, "author": made.author_id}
        tx.emit("apps.deployment.ended", owner_id=app.owner_id, actor_id=made.author_id, subject=app_id, **facts)


def _end_log(tx: Tx, deployment_id: str) -> None:
    from havre import observe

    observe.end_source(tx, deployment_id)
