"""The first start after a restore: nothing that was built or ran is on this machine; what served is deployed again.

Each app's repository and variables came with the backup, so the commit that served is deployed anew, with the
variables that it served with; then the newest push that was acknowledged and not through yet. Where that fails and
nothing serves (a registry that is not reachable yet, a disk that is full), it is tried again, ever more rarely.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import sqlalchemy as sa

from havre.apps import decide, tables
from havre.apps.endings import end_deployment
from havre.apps.intents import Intents
from havre.apps.model import Action, App, AppState, Deployment, DeploymentState
from havre.apps.work import Work
from havre.base.ids import OperationId
from havre.kernel.kernel import Kernel
from havre.kernel.reconcile import Pass
from havre.kernel.store import Tx

CAUSE = "Restored from a backup"
WHY = "the platform was restored from a backup that was taken meanwhile"
TRIES, FIRST_MS, MOST_MS = 24, 60_000, 3_600_000
LOST = ("apps.deploy", "apps.task", "apps.scale")  # the others' steps find nothing to do, and end


def settle(tx: Tx, work: Work, intents: Intents) -> None:
    """Forget what was there, and ask for what is to be there again; in the transaction of that start."""
    live = {each.id: each for each in work.kernel.operations.live(tx.conn) if each.kind in LOST}
    for release in tables.releases(tx.conn):
        tables.delete_release(tx, release.id)
    for app in tables.apps(tx.conn):
        for instance in tables.instances(tx.conn, app_id=app.id):
            work.end_instance(tx, instance.id, ended_by="lost")
        begun = {id for id, each in live.items() if any(step.name == "run" for step in each.steps)}
        for id, each in live.items():
            if each.key == app.id:
                work.kernel.operations.abandon(tx, OperationId(id), why=WHY)
        waiting = _interrupted(tx, app, begun)
        if app.deleted:
            continue
        serving = tables.deployment(tx.conn, app.id, app.serving or "")
        if serving is not None:
            intents.deploy_again(tx, app, serving, cause=CAUSE)
        if waiting is not None and waiting.id != app.serving:
            intents.deploy_again(tx, app, waiting, cause=CAUSE)
        elif serving is None and app.state is AppState.SHOULD_BE_UP and waiting is None:
            tables.update_app(tx, app.id, state=AppState.SHOULD_BE_DOWN)  # a task that was running


def _interrupted(tx: Tx, app: App, begun: set[OperationId]) -> Deployment | None:
    """End the rows of what was under way; the newest push among it. A task that had begun is not run twice."""
    newest = None
    for each in tables.deployments(tx.conn, app.id, state=DeploymentState.WIP):
        if each.action is Action.UNDEPLOY:
            continue
        is_run = each.operation_id in begun and decide.is_task(app.lifetime, each.env)
        if newest is None and each.action is Action.DEPLOY and not is_run:
            newest = each
        served = each.id == app.serving
        state = DeploymentState.OK if served else DeploymentState.CANCELLED
        end_deployment(tx, app.id, each.id, state, error="" if served else WHY)
    return newest


async def try_again(kernel: Kernel, intents: Intents) -> Pass:
    """One pass over the apps that nothing serves since the restore."""
    now = kernel.clock.now()

    def look(conn: sa.Connection) -> list[tuple[App, Deployment]]:
        lacking = [app for app in tables.apps(conn) if app.serving is None and app.state is AppState.SHOULD_BE_UP]
        found = ((app, due(tables.deployments(conn, app.id, limit=TRIES), now=now)) for app in lacking)
        return [(app, of) for app, of in found if of is not None and not _is_over(app, of)]

    def work(tx: Tx) -> int:
        again = look(tx.conn)  # somebody may have asked for something else meanwhile
        for app, of in again:
            intents.deploy_again(tx, app, of, cause=CAUSE)
        return len(again)

    wanted = len(await kernel.store.read(look))
    return Pass(wanted, await kernel.store.write(work) if wanted else 0)


def _is_over(app: App, of: Deployment) -> bool:
    """An app that goes, and a task: that has run, and is not run twice."""
    return app.deleted or decide.is_task(app.lifetime, of.env)


def due(newest_first: Sequence[Deployment], *, now: int) -> Deployment | None:
    """What is to be deployed again now: what served when the backup was taken. None once somebody has asked for
    something else, has cancelled it, or after `TRIES`."""
    tries = list(
        itertools.takewhile(lambda each: each.cause == CAUSE and each.state is DeploymentState.FAIL, newest_first)
    )
    if not tries or len(tries) >= TRIES:
        return None
    pause_ms = min(FIRST_MS * 2 ** (len(tries) - 1), MOST_MS)
    return tries[-1] if now - (tries[0].ended_at or 0) >= pause_ms else None
