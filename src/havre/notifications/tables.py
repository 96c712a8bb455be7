"""SQL of notifications: hooks are what is wanted; deliveries are what is under way and was done."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from havre.kernel.store import Schema, Tx
from havre.notifications.model import Delivery, Hook, State

METADATA = sa.MetaData()
HOOK = sa.Table(
    "hook",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("owner_id", sa.String(64), nullable=False, index=True),
    sa.Column("kind", sa.String(12), nullable=False),
    sa.Column("name", sa.String(120), nullable=False),
    sa.Column("scope", sa.JSON),
    sa.Column("events", sa.JSON),
    sa.Column("targets", sa.JSON, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
DELIVERY = sa.Table(
    "delivery",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("hook_id", sa.String(64), index=True),
    sa.Column("owner_id", sa.String(64)),
    sa.Column("kind", sa.String(12), nullable=False),
    sa.Column("to", sa.String(2000), nullable=False),
    sa.Column("content", sa.JSON, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_at", sa.BigInteger, nullable=False),
    sa.Column("error", sa.String(400), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger),
    sa.Index("delivery_due", "state", "next_at"),
    sqlite_autoincrement=True,
)
READ_UP_TO = sa.Table(  # the last event whose deliveries were written down
    "notifications_read",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
)
SCHEMA = Schema("notifications", METADATA, (METADATA.create_all,))


def _hook(row: sa.Row[Any]) -> Hook:
    values = dict(row._mapping)
    for name in ("scope", "events"):
        values[name] = tuple(values[name]) if values[name] else None
    return Hook(**values | {"targets": tuple(values["targets"])})


def _delivery(row: sa.Row[Any]) -> Delivery:
    return Delivery(**{**row._mapping, "state": State(row.state)})


def insert_hook(tx: Tx, hook: Hook) -> None:
    values = {name: getattr(hook, name) for name in Hook.__dataclass_fields__}
    values |= {"scope": list(hook.scope) if hook.scope else None, "events": list(hook.events) if hook.events else None}
    tx.conn.execute(sa.insert(HOOK).values(**values | {"targets": [dict(each) for each in hook.targets]}))


def hook(conn: sa.Connection, id: str) -> Hook | None:
    row = conn.execute(sa.select(HOOK).where(HOOK.c.id == id)).one_or_none()
    return _hook(row) if row is not None else None


def hooks_of(conn: sa.Connection, owner_id: str, kind: str | None = None) -> list[Hook]:
    query = sa.select(HOOK).where(HOOK.c.owner_id == owner_id).order_by(HOOK.c.created_at, HOOK.c.id)
    return [_hook(row) for row in conn.execute(query if kind is None else query.where(HOOK.c.kind == kind))]


def delete_hook(tx: Tx, id: str) -> None:
    tx.conn.execute(sa.delete(HOOK).where(HOOK.c.id == id))
    waiting = (DELIVERY.c.hook_id == id) & (DELIVERY.c.state == State.WAITING)
    tx.conn.execute(sa.delete(DELIVERY).where(waiting))


def delete_hooks_of(tx: Tx, owner_id: str) -> None:
    for each in hooks_of(tx.conn, owner_id):
        delete_hook(tx, each.id)


def failures(conn: sa.Connection, hook_id: str) -> int:
    query = sa.select(sa.func.count()).where(DELIVERY.c.hook_id == hook_id, DELIVERY.c.state == State.FAILED)
    return int(conn.execute(query).scalar_one())


def insert_delivery(tx: Tx, **values: Any) -> None:
    fixed = {"state": State.WAITING, "tries": 0, "next_at": tx.now, "error": "", "created_at": tx.now}
    tx.conn.execute(sa.insert(DELIVERY).values(**fixed, **values))


def due(conn: sa.Connection, *, now: int, limit: int, with_mail: bool) -> list[Delivery]:
    query = sa.select(DELIVERY).where(DELIVERY.c.state == State.WAITING, DELIVERY.c.next_at <= now)
    query = query if with_mail else query.where(DELIVERY.c.kind == "webhook")
    return [_delivery(row) for row in conn.execute(query.order_by(DELIVERY.c.next_at).limit(limit))]


def next_at(conn: sa.Connection, *, with_mail: bool) -> int | None:
    query = sa.select(sa.func.min(DELIVERY.c.next_at)).where(DELIVERY.c.state == State.WAITING)
    query = query if with_mail else query.where(DELIVERY.c.kind == "webhook")
    return conn.execute(query).scalar_one_or_none()


def waiting(conn: sa.Connection) -> int:
    query = sa.select(sa.func.count()).where(DELIVERY.c.state == State.WAITING)
    return int(conn.execute(query).scalar_one())


def update_delivery(tx: Tx, id: int, **values: Any) -> None:
    tx.conn.execute(sa.update(DELIVERY).where(DELIVERY.c.id == id).values(**values))


def deliveries(conn: sa.Connection, *, hook_id: str | None = None, kind: str = "", limit: int = 100) -> list[Delivery]:
    """Newest first."""
    query = sa.select(DELIVERY).order_by(DELIVERY.c.id.desc()).limit(limit)
    query = query.where(DELIVERY.c.hook_id == hook_id) if hook_id is not None else query
    return [_delivery(row) for row in conn.execute(query.where(DELIVERY.c.kind == kind) if kind else query)]


def forget_deliveries(tx: Tx, *, before: int) -> int:
    old = (DELIVERY.c.state != State.WAITING) & (DELIVERY.c.ended_at < before)
    stale = (DELIVERY.c.kind == "letter") & (DELIVERY.c.created_at < before)
    return tx.conn.execute(sa.delete(DELIVERY).where(old | stale)).rowcount


def read_up_to(conn: sa.Connection) -> int | None:
    return conn.execute(sa.select(READ_UP_TO.c.seq)).scalar_one_or_none()


def set_read_up_to(tx: Tx, seq: int) -> None:
    if not tx.conn.execute(sa.update(READ_UP_TO).values(seq=seq)).rowcount:
        tx.conn.execute(sa.insert(READ_UP_TO).values(id=1, seq=seq))
