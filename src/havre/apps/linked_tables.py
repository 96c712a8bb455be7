"""SQL of what links apps: dependencies, the configuration that one publishes for others, tags."""

from __future__ import annotations

import sqlalchemy as sa

from havre.apps.tables import APP, METADATA
from havre.kernel.store import Tx

DEPENDENCY = sa.Table(
    "app_dependency",
    METADATA,
    sa.Column("app_id", sa.String(64), primary_key=True),
    sa.Column("dependency_id", sa.String(64), primary_key=True, index=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
PUBLISHED = sa.Table(
    "app_published",
    METADATA,
    sa.Column("app_id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(256), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
TAG = sa.Table(
    "app_tag",
    METADATA,
    sa.Column("app_id", sa.String(64), primary_key=True),
    sa.Column("tag", sa.String(80), primary_key=True),
)


def dependencies(conn: sa.Connection, app_id: str) -> list[str]:
    """The ids of the apps that `app_id` depends on and that are not being deleted, oldest link first."""
    query = sa.select(DEPENDENCY.c.dependency_id).join(APP, APP.c.id == DEPENDENCY.c.dependency_id)
    query = query.where(DEPENDENCY.c.app_id == app_id, ~APP.c.deleted)
    return list(conn.execute(query.order_by(DEPENDENCY.c.created_at, DEPENDENCY.c.dependency_id)).scalars())


def dependents(conn: sa.Connection, app_id: str) -> list[str]:
    query = sa.select(DEPENDENCY.c.app_id).where(DEPENDENCY.c.dependency_id == app_id)
    return list(conn.execute(query.order_by(DEPENDENCY.c.app_id)).scalars())


def link(tx: Tx, app_id: str, dependency_id: str) -> bool:
    """Whether it is new."""
    if dependency_id in dependencies(tx.conn, app_id):
        return False
    tx.conn.execute(sa.insert(DEPENDENCY).values(app_id=app_id, dependency_id=dependency_id, created_at=tx.now))
    return True


def unlink(tx: Tx, app_id: str, dependency_id: str) -> int:
    where = (DEPENDENCY.c.app_id == app_id) & (DEPENDENCY.c.dependency_id == dependency_id)
    return tx.conn.execute(sa.delete(DEPENDENCY).where(where)).rowcount


def published(conn: sa.Connection, app_id: str) -> dict[str, str]:
    query = sa.select(PUBLISHED).where(PUBLISHED.c.app_id == app_id).order_by(PUBLISHED.c.name)
    return {row.name: row.value for row in conn.execute(query)}


def set_published(tx: Tx, app_id: str, env: dict[str, str]) -> None:
    tx.conn.execute(sa.delete(PUBLISHED).where(PUBLISHED.c.app_id == app_id))
    rows = [{"app_id": app_id, "name": name, "value": value} for name, value in env.items()]
    if rows:
        tx.conn.execute(sa.insert(PUBLISHED), rows)


def tags(conn: sa.Connection, app_id: str) -> list[str]:
    return list(conn.execute(sa.select(TAG.c.tag).where(TAG.c.app_id == app_id).order_by(TAG.c.tag)).scalars())


def all_tags(conn: sa.Connection, owner_id: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    query = sa.select(TAG).join(APP, APP.c.id == TAG.c.app_id).where(APP.c.owner_id == owner_id)
    for row in conn.execute(query.order_by(TAG.c.tag)):
        found.setdefault(row.app_id, []).append(row.tag)
    return found


def set_tags(tx: Tx, app_id: str, wanted: list[str]) -> None:
    tx.conn.execute(sa.delete(TAG).where(TAG.c.app_id == app_id))
    rows = [{"app_id": app_id, "tag": each} for each in wanted]
    if rows:
        tx.conn.execute(sa.insert(TAG), rows)


def drop_app(tx: Tx, app_id: str) -> None:
    tx.conn.execute(
        sa.delete(DEPENDENCY).where((DEPENDENCY.c.app_id == app_id) | (DEPENDENCY.c.dependency_id == app_id))
    )
    tx.conn.execute(sa.delete(PUBLISHED).where(PUBLISHED.c.app_id == app_id))
    tx.conn.execute(sa.delete(TAG).where(TAG.c.app_id == app_id))
