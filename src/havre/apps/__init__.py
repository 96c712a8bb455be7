"""Apps: from a push to isolated instances behind their one socket, switched without a lost request.

`Apps` is the room's face, made by `setup`; the page is README.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import structlog

from havre.apps import glances, linked, restored, runtimes, tables, views
from havre.apps.intents import Intents, NewApp
from havre.apps.load import Load
from havre.apps.model import (
    Action,
    App,
    AppState,
    Deployment,
    DeploymentState,
    Instance,
    InstanceState,
    pretty_name,
)
from havre.apps.operations import operations
from havre.apps.reconcile import Reconcile
from havre.apps.repos import Repositories
from havre.apps.stack_views import StackUse, StackViews
from havre.apps.tables import SCHEMA
from havre.apps.upgrades import Move, Upgrade, Upgrades
from havre.apps.usage import EVERY_S, UsageHistory
from havre.apps.watch import Watch
from havre.apps.work import Work
from havre.kernel.kernel import Kernel
from havre.kernel.reconcile import Reconciler
from havre.kernel.rooms import Health, Loop, Room

__all__ = [
    "SCHEMA", "Action", "App", "AppState", "Apps", "Deployment", "DeploymentState", "Instance", "InstanceState",
    "Intents", "Move", "NewApp", "Repositories", "StackUse", "StackViews", "Upgrade", "Upgrades", "glances", "linked",
    "pretty_name", "runtimes", "setup", "views",
]  # fmt: skip
log = structlog.get_logger()


@dataclass(frozen=True)
class Apps:
    """The room for its callers: what may be asked, the repositories, the stacks. Reading is `views`."""

    intents: Intents
    repositories: Repositories
    upgrades: Upgrades
    stacks: StackViews
    usage: UsageHistory


def setup(kernel: Kernel) -> tuple[Room, Apps]:
    """The room and its face."""
    work = Work(kernel)
    made = operations(work)
    intents = Intents(kernel, made, has_stacks=work.stacks is not None)
    upgrades = Upgrades(work, intents)
    repositories = Repositories(kernel, intents)
    watch = Watch(work)
    reconcile = Reconcile(work, watch)
    load, usage = Load(work, intents), UsageHistory(kernel)
    apps_config = kernel.config.apps

    async def start() -> None:
        await load.hold_sleepers()
        await repositories.recover_pushes()

    async def health() -> Health:
        wanted = await kernel.store.read(lambda conn: tables.instances(conn))
        apps = await kernel.store.read(lambda conn: tables.apps(conn))
        live = await kernel.store.read(kernel.operations.live)
        figures = {"apps": float(len(apps)), "instances": float(len(wanted))}
        return Health(backlog=len([each for each in live if each.kind.startswith("apps.")]), figures=figures)

    room = Room(
        "apps",
        tables.SCHEMA,
        operations=(made.deploy, made.task, made.undeploy, made.delete, made.scale, upgrades.operation),
        reconcilers=(
            Reconciler("apps.instances", reconcile.instances, wake_on=("apps.", "kernel.operation."), every_s=10),
            Reconciler("apps.health", watch.pass_once, every_s=apps_config.health_every_s),
            Reconciler("apps.load", load.pass_once, every_s=apps_config.sample_every_s),
            Reconciler("apps.usage", usage.pass_once, every_s=EVERY_S),
            Reconciler("apps.restored", partial(restored.try_again, kernel, intents), every_s=60),
            Reconciler("apps.garbage", reconcile.garbage, wake_on=("kernel.operation.done",), every_s=600),
        ),
        loops=(
            Loop("apps.hooks", repositories.serve_hooks),
            Loop("apps.ends", reconcile.watch_ends),
            Loop("apps.starts", reconcile.starts.run),
            Loop("apps.wake", load.wake),
        ),
        health=health,
        start=start,
        restored=lambda tx: restored.settle(tx, work, intents),
    )
    return room, Apps(intents, repositories, upgrades, StackViews(work.stacks), usage)
