"""What people may read of apps."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from havre.apps import tables
from havre.apps.intents import find as find
from havre.apps.model import App, Deployment, Instance
from havre.base.errors import NotFoundError
from havre.governance import Actor, Right, authorise


@dataclass(frozen=True, slots=True)
class InstanceView:
    instance: Instance
    deployment: Deployment | None


def app(conn: sa.Connection, actor: Actor, owner_id: str | None, app_id: str) -> App:
    return find(conn, actor, owner_id, app_id, Right.READ)


def apps_of(conn: sa.Connection, actor: Actor, owner_id: str) -> list[App]:
    owner = authorise(conn, actor, owner_id, Right.READ)
    return tables.apps(conn, owner_ids=[owner.id])


def env(conn: sa.Connection, actor: Actor, owner_id: str | None, app_id: str) -> dict[str, str]:
    return tables.env(conn, find(conn, actor, owner_id, app_id, Right.LOOK_INSIDE).id)


def name_of(conn: sa.Connection, app_id: str) -> str:
    """What people call the app; empty when there is none."""
    found = tables.app(conn, app_id)
    return found.name if found is not None else ""


def app_of_instance(conn: sa.Connection, actor: Actor, instance_id: str, right: Right) -> tuple[App, Instance]:
    """The instance and its app, if `actor` may. Raises NotFoundError, DeniedError."""
    found = tables.instance(conn, instance_id)
    if found is None:
        raise NotFoundError("there is no such instance")
    return find(conn, actor, None, found.app_id, right), found


def env_of(conn: sa.Connection, app: App) -> dict[str, str]:
    """The variables of an app that the caller was given already."""
    return tables.env(conn, app.id)


def instances(conn: sa.Connection, app: App, *, with_deleted: bool = False) -> list[InstanceView]:
    found = tables.instances(conn, app_id=app.id, with_deleted=with_deleted)
    return [InstanceView(each, tables.deployment(conn, app.id, each.deployment_id)) for each in found]


def deployments(
    conn: sa.Connection, app: App, *, limit: int | None = None, offset: int = 0, action: str | None = None
) -> list[Deployment]:
    return tables.deployments(conn, app.id, limit=limit, offset=offset, action=action)


def deployment(conn: sa.Connection, app: App, id: str) -> Deployment:
    """By uuid or by number. Raises NotFoundError."""
    found = tables.deployment(conn, app.id, id)
    if found is None:
        raise NotFoundError("The deployment cannot be found")
    return found
