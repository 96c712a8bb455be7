"""Many apps at a glance, in a bounded number of questions to the store; and how far a deployment is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from havre.apps import linked_tables, tables
from havre.apps.model import Action, App, AppState, Deployment, DeploymentState, Instance, InstanceState

DEPLOYS = (Action.DEPLOY, Action.UNDEPLOY)


@dataclass(frozen=True, slots=True)
class Glance:
    """last: the newest deployment of any kind; None: there was none yet."""

    app: App
    last: Deployment | None
    running: Mapping[str, int]
    booting: Mapping[str, int]
    is_asleep: bool
    tags: Sequence[str]

    @property
    def condition(self) -> str:
        """One word for it: what is under way first, then what serves, then why nothing does."""
        last = self.last
        if last is not None and last.state is DeploymentState.WIP:
            return "deploying"
        if self.running:
            return "running"
        if self.is_asleep:
            return "asleep"
        if last is None:
            return "never deployed"
        if self.app.state is AppState.SHOULD_BE_DOWN or last.action is Action.UNDEPLOY:
            return "stopped"
        return "failed" if last.state is not DeploymentState.OK else "stopped"


def glances(conn: sa.Connection, owner_id: str) -> list[Glance]:
    """The apps of an owner, oldest first."""
    found = tables.apps(conn, owner_ids=[owner_id])
    ids = [each.id for each in found]
    last, instances = tables.last_deployments(conn, owner_id), tables.instances_of_owner(conn, owner_id)
    asleep, tags = tables.asleep(conn), linked_tables.all_tags(conn, owner_id) if ids else {}
    return [
        Glance(
            each,
            last.get(each.id),
            counted(instances.get(each.id, ()), each.generation, InstanceState.UP),
            counted(instances.get(each.id, ()), None, InstanceState.DEPLOYING),
            each.id in asleep,
            tags.get(each.id, []),
        )
        for each in found
    ]


def counted(found: Sequence[Instance], generation: int | None, state: InstanceState) -> dict[str, int]:
    """How many of each flavor are in `state`; generation: of this one only."""
    counts: dict[str, int] = {}
    for each in found:
        if each.state is state and generation in (None, each.generation):
            counts[each.flavor] = counts.get(each.flavor, 0) + 1
    return counts


def owner_of(conn: sa.Connection, app_id: str) -> str | None:
    """Whose the app is; None when there is none."""
    found = tables.app(conn, app_id)
    return found.owner_id if found is not None else None
