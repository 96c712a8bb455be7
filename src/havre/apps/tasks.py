"""Tasks: apps whose deployment is to run a command once. They serve nothing and are down when it has ended.

A task runs at most once for each deployment: one that was cut off with its machine has failed and is not run again.
"""

from __future__ import annotations

from dataclasses import dataclass

from havre.apps import tables
from havre.apps.model import App, AppState, Deployment
from havre.apps.runtimes import Plan
from havre.apps.stacks import Roots
from havre.apps.work import Names, Work
from havre.base.ids import UnitId
from havre.kernel.store import Tx


@dataclass(frozen=True)
class TaskEnd:
    """How the command ended. `text` is for people."""

    ok: bool
    text: str
    took_s: float


async def run(work: Work, app: App, deployment: Deployment, names: Names, plan: Plan, roots: Roots) -> TaskEnd:
    """Run the command to its end; found again when it runs already."""
    kernel = work.kernel
    _, deployment = await work.read(app.id, deployment.id)
    size = names.flavor or app.min_flavor
    instance = work.instance(deployment, names.generation, 0, names.instances[0], size=size, stack=roots.run)
    starts = await work.launch(app, deployment, plan, release=str(deployment.release_id))

    def begin(tx: Tx) -> None:
        work.add_instance(tx, app, instance, starts)
        tables.update_app(tx, app.id, commit_id=deployment.commit_id)  # what `clever restart` runs again

    await kernel.store.write(begin)
    await work.start_instance(app, deployment, instance, plan, starts)
    ended = await kernel.units.wait(UnitId(instance.id))
    found = await kernel.store.read(lambda conn: tables.instance(conn, instance.id))
    began_at = found.created_at if found is not None else instance.created_at
    return TaskEnd(ended.is_success, str(ended), max(0, ended.at - began_at) / 1000)


async def finish(work: Work, app_id: str, names: Names) -> None:
    """The app is down: forget the task's unit, and take out of service what served before the app was a task."""

    def down(tx: Tx) -> None:
        tables.update_app(tx, app_id, serving=None, generation=names.generation, deployed_at=tx.now)
        stand_down(tx, app_id)

    await work.kernel.store.write(down)
    await work.retire_older(app_id, names.generation + 1)


def stand_down(tx: Tx, app_id: str) -> None:
    """A task that does not run is down, unless the app still serves from before it was a task."""
    app = tables.app(tx.conn, app_id)
    if app is not None and app.serving is None:
        tables.update_app(tx, app_id, state=AppState.SHOULD_BE_DOWN)
