"""SQL of drains: what is wanted, and how far each has come, in two tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from havre.kernel.store import Tx
from havre.observe.drains.model import Drain, DrainState, Execution
from havre.observe.tables import METADATA

DRAIN = sa.Table(
    "drain",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("owner_id", sa.String(64), nullable=False),
    sa.Column("app_id", sa.String(64), nullable=False, index=True),
    sa.Column("kind", sa.String(12), nullable=False),
    sa.Column("recipient", sa.JSON, nullable=False),
    sa.Column("is_enabled", sa.Boolean, nullable=False),
    sa.Column("changed_at", sa.BigInteger, nullable=False),
    sa.Column("author_id", sa.String(64), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
DRAIN_STATE = sa.Table(
    "drain_state",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("execution", sa.String(12), nullable=False),
    sa.Column("error", sa.String(400), nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("tried_at", sa.BigInteger),
    sa.Column("next_at", sa.BigInteger),
    sa.Column("failing_since", sa.BigInteger),
)


def _drain(row: sa.Row[Any]) -> Drain:
    return Drain(**row._mapping)


def insert(tx: Tx, drain: Drain, *, seq: int) -> None:
    values = {name: getattr(drain, name) for name in Drain.__dataclass_fields__}
    tx.conn.execute(sa.insert(DRAIN).values(**values | {"recipient": dict(drain.recipient)}))
    begin = {"id": drain.id, "seq": seq, "execution": Execution.RUNNING, "error": "", "tries": 0}
    tx.conn.execute(sa.insert(DRAIN_STATE).values(**begin, tried_at=None, next_at=None, failing_since=None))


def drain(conn: sa.Connection, id: str) -> Drain | None:
    row = conn.execute(sa.select(DRAIN).where(DRAIN.c.id == id)).one_or_none()
    return _drain(row) if row is not None else None


def drains(conn: sa.Connection, app_id: str | None = None) -> list[Drain]:
    query = sa.select(DRAIN).order_by(DRAIN.c.created_at, DRAIN.c.id)
    return [_drain(row) for row in conn.execute(query if app_id is None else query.where(DRAIN.c.app_id == app_id))]


def set_enabled(tx: Tx, id: str, *, is_on: bool, author_id: str) -> None:
    values = {"is_enabled": is_on, "changed_at": tx.now, "author_id": author_id}
    tx.conn.execute(sa.update(DRAIN).where(DRAIN.c.id == id).values(**values))


def begin_again(tx: Tx) -> None:
    """Every drain begins at the first line of a store that is new."""
    tx.conn.execute(sa.update(DRAIN_STATE).values(seq=0))


def delete(tx: Tx, id: str) -> None:
    tx.conn.execute(sa.delete(DRAIN_STATE).where(DRAIN_STATE.c.id == id))
    tx.conn.execute(sa.delete(DRAIN).where(DRAIN.c.id == id))


def state(conn: sa.Connection, id: str) -> DrainState | None:
    row = conn.execute(sa.select(DRAIN_STATE).where(DRAIN_STATE.c.id == id)).one_or_none()
    if row is None:
        return None
    values = {name: value for name, value in row._mapping.items() if name != "id"}
    return DrainState(**values | {"execution": Execution(row.execution)})


def update_state(tx: Tx, id: str, **values: Any) -> None:
    tx.conn.execute(sa.update(DRAIN_STATE).where(DRAIN_STATE.c.id == id).values(**values))
