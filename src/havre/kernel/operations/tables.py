"""SQL of the operations: `op` and `op_step`.

Whoever runs an operation holds its `epoch`; every write of a step is conditional on it, so a runner that
was replaced while it slept changes nothing any more. The lease tells other nodes when to replace it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from havre.base.ids import OperationId
from havre.kernel.operations.model import OperationView, StepView
from havre.kernel.store import Schema, Tx

METADATA = sa.MetaData()
OP = sa.Table(
    "op",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(60), nullable=False),
    sa.Column("key", sa.String(120), nullable=False, index=True),
    sa.Column("args", sa.JSON, nullable=False),
    sa.Column("status", sa.String(12), nullable=False, index=True),
    sa.Column("step", sa.String(40), nullable=False, default=""),
    sa.Column("progress", sa.Text, nullable=False, default=""),
    sa.Column("error", sa.Text, nullable=False, default=""),
    sa.Column("cancelled", sa.Boolean, nullable=False, default=False),
    sa.Column("node", sa.String(80)),
    sa.Column("epoch", sa.Integer, nullable=False, default=0),
    sa.Column("lease_at", sa.BigInteger, nullable=False, default=0),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("ordinal", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, index=True),
)
OP_STEP = sa.Table(
    "op_step",
    METADATA,
    sa.Column("op_id", sa.String(64), sa.ForeignKey("op.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(40), nullable=False),
    sa.Column("status", sa.String(8), nullable=False),
    sa.Column("result", sa.JSON),
    sa.Column("began_at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger),
)
SCHEMA = Schema("kernel.operations", METADATA, (METADATA.create_all,))
LIVE = ("running", "undoing")


def insert(tx: Tx, *, id: OperationId, kind: str, key: str, args: Any) -> None:
    newest = tx.conn.execute(sa.select(sa.func.coalesce(sa.func.max(OP.c.ordinal), 0))).scalar_one()
    row = {
        "id": id,
        "kind": kind,
        "key": key,
        "args": args,
        "status": "running",
        "created_at": tx.now,
        "ordinal": newest + 1,
    }
    tx.conn.execute(sa.insert(OP).values(step="", progress="", error="", cancelled=False, epoch=0, lease_at=0, **row))


def claimable(conn: sa.Connection, *, now: int, node: str) -> list[OperationId]:
    """The live operations that lead the queue of their key and that nobody else holds, oldest first."""
    ahead = OP.alias()
    leads = ~sa.exists().where(ahead.c.key == OP.c.key, ahead.c.status.in_(LIVE), ahead.c.ordinal < OP.c.ordinal)
    free = sa.or_(OP.c.node.is_(None), OP.c.node == node, OP.c.lease_at < now)
    query = sa.select(OP.c.id).where(OP.c.status.in_(LIVE), leads, free).order_by(OP.c.ordinal)
    return [OperationId(each) for each in conn.execute(query).scalars()]


def claim(tx: Tx, id: OperationId, *, node: str, lease_ms: int) -> sa.Row[Any] | None:
    """Take the operation under a new epoch; None when somebody was faster."""
    free = sa.or_(OP.c.node.is_(None), OP.c.node == node, OP.c.lease_at < tx.now)
    update = sa.update(OP).where(OP.c.id == id, OP.c.status.in_(LIVE), free)
    taken = tx.conn.execute(update.values(node=node, epoch=OP.c.epoch + 1, lease_at=tx.now + lease_ms))
    return row(tx.conn, id) if taken.rowcount else None


def set_where_mine(tx: Tx, id: OperationId, epoch: int, **values: Any) -> bool:
    """Update the operation if `epoch` still holds it; False when it was taken over."""
    changes = {OP.c[name]: value for name, value in (values or {"epoch": epoch}).items()}
    result = tx.conn.execute(sa.update(OP).where(OP.c.id == id, OP.c.epoch == epoch).values(changes))
    return bool(result.rowcount)


def put_step(tx: Tx, id: OperationId, seq: int, *, name: str, status: str, result: Any = None) -> None:
    where = (OP_STEP.c.op_id == id) & (OP_STEP.c.seq == seq)
    ended = None if status == "begun" else tx.now
    if status == "begun":
        changed = tx.conn.execute(sa.update(OP_STEP).where(where).values(status=status, ended_at=None))
    else:
        changed = tx.conn.execute(sa.update(OP_STEP).where(where).values(status=status, ended_at=ended, result=result))
    if not changed.rowcount:
        values = {
            "op_id": id,
            "seq": seq,
            "name": name,
            "status": status,
            "began_at": tx.now,
            "ended_at": ended,
        }
        tx.conn.execute(sa.insert(OP_STEP).values(result=result, **values))


def row(conn: sa.Connection, id: OperationId) -> sa.Row[Any] | None:
    return conn.execute(sa.select(OP).where(OP.c.id == id)).one_or_none()


def steps(conn: sa.Connection, id: OperationId) -> list[sa.Row[Any]]:
    return list(conn.execute(sa.select(OP_STEP).where(OP_STEP.c.op_id == id).order_by(OP_STEP.c.seq)))


def request_cancel(tx: Tx, id: OperationId) -> bool:
    query = sa.update(OP).where(OP.c.id == id, OP.c.status == "running").values(cancelled=True)
    return bool(tx.conn.execute(query).rowcount)


def view(conn: sa.Connection, found: sa.Row[Any]) -> OperationView:
    seen = tuple(StepView(each.name, each.status, each.began_at, each.ended_at) for each in steps(conn, found.id))
    names = (
        "id",
        "kind",
        "key",
        "status",
        "step",
        "progress",
        "error",
        "cancelled",
        "created_at",
        "ended_at",
    )
    return OperationView(**{name: getattr(found, name) for name in names}, steps=seen)


def of_key(conn: sa.Connection, key: str, *, limit: int = 50) -> list[OperationView]:
    query = sa.select(OP).where(OP.c.key == key).order_by(OP.c.ordinal.desc()).limit(limit)
    return [view(conn, each) for each in conn.execute(query).all()]


def live(conn: sa.Connection) -> list[OperationView]:
    query = sa.select(OP).where(OP.c.status.in_((*LIVE, "stuck"))).order_by(OP.c.ordinal)
    return [view(conn, each) for each in conn.execute(query).all()]


def abandon(tx: Tx, id: OperationId, *, error: str) -> None:
    values = {"status": "undone", "error": error, "ended_at": tx.now, "node": None}
    tx.conn.execute(sa.update(OP).where(OP.c.id == id, OP.c.status.in_((*LIVE, "stuck"))).values(**values))


def revive_stuck(tx: Tx) -> int:
    return tx.conn.execute(sa.update(OP).where(OP.c.status == "stuck").values(status="undoing")).rowcount


def release_node(tx: Tx) -> int:
    """Free every live operation: the caller holds the only lock on this installation."""
    return tx.conn.execute(sa.update(OP).where(OP.c.status.in_(LIVE)).values(node=None, lease_at=0)).rowcount


def forget_ended(tx: Tx, *, before: int) -> int:
    query = sa.delete(OP).where(OP.c.status.in_(("done", "undone")), OP.c.ended_at < before)
    return tx.conn.execute(query).rowcount
