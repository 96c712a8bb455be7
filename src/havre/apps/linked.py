"""What links apps: dependencies and the configuration that they publish, tags; and how much of all an owner may have.

Of variables with one name the app's own wins over its dependencies', and an older link over a newer one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import sqlalchemy as sa

from havre import governance
from havre.apps import linked_tables, tables
from havre.apps.model import App
from havre.base import names
from havre.base.errors import ConflictError, ExhaustedError, InvalidError, NotFoundError
from havre.governance import Quota
from havre.kernel.store import Tx

MOST_TAGS, MOST_LINKS = 40, 100
MOST_BYTES = 256 * 1024
_TAG = re.compile(r"[A-Za-z0-9_.:/@-]{1,80}")


def env_for(conn: sa.Connection, app: App) -> dict[str, str]:
    """The variables of a deployment of `app` that begins now."""
    found: dict[str, str] = {}
    for id in reversed(linked_tables.dependencies(conn, app.id)):
        found |= linked_tables.published(conn, id)
    return found | tables.env(conn, app.id)


def dependencies(conn: sa.Connection, app: App) -> list[App]:
    found = [tables.app(conn, id) for id in linked_tables.dependencies(conn, app.id)]
    return [each for each in found if each is not None]


def dependents(conn: sa.Connection, app: App) -> list[App]:
    """The apps that depend on `app` and are not being deleted, by name; each is of the same owner."""
    found = [tables.app(conn, id) for id in linked_tables.dependents(conn, app.id)]
    return sorted((each for each in found if each is not None and not each.deleted), key=lambda each: each.name)


def dependencies_env(conn: sa.Connection, app: App) -> list[tuple[App, dict[str, str]]]:
    return [(each, linked_tables.published(conn, each.id)) for each in dependencies(conn, app)]


def link(tx: Tx, app: App, dependency_id: str, *, actor_id: str) -> App:
    """`app` depends on another app of its organisation. Raises NotFoundError, InvalidError, ExhaustedError."""
    other = tables.app(tx.conn, dependency_id)
    if other is None or other.deleted or other.owner_id != app.owner_id:
        raise NotFoundError("The application cannot be found")
    if other.id == app.id:
        raise InvalidError("an application does not depend on itself")
    if len(linked_tables.dependencies(tx.conn, app.id)) >= MOST_LINKS:
        raise ExhaustedError(f"an application may have {MOST_LINKS} dependencies")
    if linked_tables.link(tx, app.id, other.id):
        tx.emit("apps.link.made", owner_id=app.owner_id, actor_id=actor_id, subject=app.id, dependency=other.id)
    return other


def unlink(tx: Tx, app: App, dependency_id: str, *, actor_id: str) -> None:
    if not linked_tables.unlink(tx, app.id, dependency_id):
        raise NotFoundError("The application does not depend on that one")
    tx.emit("apps.link.dropped", owner_id=app.owner_id, actor_id=actor_id, subject=app.id, dependency=dependency_id)


def published(conn: sa.Connection, app: App) -> dict[str, str]:
    return linked_tables.published(conn, app.id)


def publish(tx: Tx, app: App, env: dict[str, str], *, actor_id: str) -> list[App]:
    """Replace what the app publishes; returns the running apps that must be deployed again to see it."""
    for name, value in env.items():
        names.env_name(name)
        if "\0" in value:
            raise InvalidError(f"the value of {name} must be text without NUL")
    if sum(len(name) + len(value) for name, value in env.items()) > MOST_BYTES:
        raise ExhaustedError(f"what an application publishes may have {MOST_BYTES} bytes in all")
    if env == linked_tables.published(tx.conn, app.id):
        return []
    linked_tables.set_published(tx, app.id, env)
    tx.emit("apps.config.published", owner_id=app.owner_id, actor_id=actor_id, subject=app.id)
    return [each for each in dependents(tx.conn, app) if each.serving is not None]


def tags(conn: sa.Connection, app: App) -> list[str]:
    return linked_tables.tags(conn, app.id)


def all_tags(conn: sa.Connection, owner_id: str) -> dict[str, list[str]]:
    """The tags of an owner's apps that have any."""
    return linked_tables.all_tags(conn, owner_id)


def outlines(conn: sa.Connection, owner_id: str) -> list[tables.Outline]:
    """The apps of an owner in few words, oldest first: for lists of many."""
    return tables.outlines(conn, owner_id)


def set_tags(tx: Tx, app: App, wanted: Sequence[str], *, actor_id: str) -> list[str]:
    found = sorted(set(wanted))
    if len(found) > MOST_TAGS or not all(_TAG.fullmatch(each) for each in found):
        raise InvalidError(f"an application has at most {MOST_TAGS} tags of letters, digits and _ . : / @ -")
    linked_tables.set_tags(tx, app.id, found)
    tx.emit("apps.app.tagged", owner_id=app.owner_id, actor_id=actor_id, subject=app.id)
    return found


def check_quota(conn: sa.Connection, owner_id: str, *, default: Quota) -> None:
    """Raises ExhaustedError when the owner's apps, as they are wanted now, are more than its quota."""
    found = tables.apps(conn, owner_ids=[owner_id])
    quota = governance.organisations.quota(conn, owner_id, default=default)
    instances = sum(each.max_instances for each in found)
    governance.organisations.check_quota(quota, apps=len(found), instances=instances)


def count(conn: sa.Connection, owner_id: str) -> int:
    """How many apps an owner has."""
    return len(tables.apps(conn, owner_ids=[owner_id]))


def check_empty(conn: sa.Connection, owner_id: str) -> None:
    """Raises ConflictError while an owner has apps."""
    if tables.apps(conn, owner_ids=[owner_id]):
        raise ConflictError("there are applications; delete them first")
