"""SQL of the sources in the control state: `log_source`, and `log_dropped`, the apps whose lines must go.

A source and what it belongs to are written in one transaction; what was read of it is not kept here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from havre.kernel.store import Schema, Tx
from havre.observe.model import LogSource

METADATA = sa.MetaData()
LOG_SOURCE = sa.Table(
    "log_source",
    METADATA,
    sa.Column("id", sa.String(120), primary_key=True),
    sa.Column("app_id", sa.String(64), nullable=False, index=True),
    sa.Column("owner_id", sa.String(64), nullable=False),
    sa.Column("deployment_id", sa.String(64)),
    sa.Column("instance_id", sa.String(64)),
    sa.Column("commit_id", sa.String(64)),
    sa.Column("service", sa.String(40), nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger),
)
LOG_DROPPED = sa.Table(
    "log_dropped",
    METADATA,
    sa.Column("app_id", sa.String(64), primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
)
SCHEMA = Schema("observe", METADATA, (METADATA.create_all, METADATA.create_all))  # the second: drains


@dataclass(frozen=True, slots=True)
class SourceRow:
    source: LogSource
    created_at: int
    ended_at: int | None


def add(tx: Tx, source: LogSource) -> None:
    """Register the source; a repeat changes nothing, but opens again a source that had ended."""
    where = LOG_SOURCE.c.id == source.id
    if tx.conn.execute(sa.update(LOG_SOURCE).where(where).values(ended_at=None)).rowcount:
        return
    row = {
        "id": source.id,
        "app_id": source.app_id,
        "owner_id": source.owner_id,
        "deployment_id": source.deployment_id,
        "instance_id": source.instance_id,
        "commit_id": source.commit,
        "service": source.service,
        "path": str(source.path),
        "created_at": tx.now,
    }
    tx.conn.execute(sa.insert(LOG_SOURCE).values(row))


def end(tx: Tx, id: str) -> bool:
    """Nobody writes to the source any more; False when it is unknown or had ended."""
    query = sa.update(LOG_SOURCE).where(LOG_SOURCE.c.id == id, LOG_SOURCE.c.ended_at.is_(None))
    return bool(tx.conn.execute(query.values(ended_at=tx.now)).rowcount)


def of_instance(conn: sa.Connection, instance_id: str) -> list[str]:
    """The ids of the sources of one instance."""
    query = sa.select(LOG_SOURCE.c.id).where(LOG_SOURCE.c.instance_id == instance_id).order_by(LOG_SOURCE.c.id)
    return list(conn.execute(query).scalars())


def drop_app(tx: Tx, app_id: str) -> None:
    tx.conn.execute(sa.delete(LOG_SOURCE).where(LOG_SOURCE.c.app_id == app_id))
    tx.conn.execute(sa.delete(LOG_DROPPED).where(LOG_DROPPED.c.app_id == app_id))
    tx.conn.execute(sa.insert(LOG_DROPPED).values(app_id=app_id, at=tx.now))


def sources(conn: sa.Connection) -> list[SourceRow]:
    rows = conn.execute(sa.select(LOG_SOURCE).order_by(LOG_SOURCE.c.created_at, LOG_SOURCE.c.id))
    return [_row(each) for each in rows]


def exists(conn: sa.Connection, id: str) -> bool:
    return conn.execute(sa.select(LOG_SOURCE.c.id).where(LOG_SOURCE.c.id == id)).first() is not None


def dropped_apps(conn: sa.Connection) -> list[str]:
    return list(conn.execute(sa.select(LOG_DROPPED.c.app_id).order_by(LOG_DROPPED.c.at)).scalars())


def forget_dropped(tx: Tx, app_id: str) -> None:
    tx.conn.execute(sa.delete(LOG_DROPPED).where(LOG_DROPPED.c.app_id == app_id))


def forget_sources(tx: Tx, ids: Iterable[str]) -> int:
    """Forget ended sources; one that was opened again meanwhile stays."""
    where = LOG_SOURCE.c.id.in_(list(ids)) & LOG_SOURCE.c.ended_at.is_not(None)
    return tx.conn.execute(sa.delete(LOG_SOURCE).where(where)).rowcount


def forget_all(tx: Tx) -> None:
    """No source of before is followed any more."""
    tx.conn.execute(sa.delete(LOG_SOURCE))


def _row(row: sa.Row[tuple[object, ...]]) -> SourceRow:
    found = row._mapping
    source = LogSource(
        id=found["id"],
        app_id=found["app_id"],
        owner_id=found["owner_id"],
        path=Path(found["path"]),
        deployment_id=found["deployment_id"],
        instance_id=found["instance_id"],
        commit=found["commit_id"],
        service=found["service"],
    )
    return SourceRow(source, created_at=found["created_at"], ended_at=found["ended_at"])
