"""SQL of the network: migrations, what was confirmed by people, what was seen, and versions of configurations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from havre.kernel.store import Schema, Tx

METADATA = sa.MetaData()
MIGRATION = sa.Table(
    "network_migration",
    METADATA,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("intent", sa.Text, nullable=False),
    sa.Column("stage", sa.String(20), nullable=False),
    sa.Column("goal", sa.String(20), nullable=False),
    sa.Column("is_paused", sa.Boolean, nullable=False),
    sa.Column("is_silent", sa.Boolean, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("changed_at", sa.BigInteger, nullable=False),
)
CONFIRMATION = sa.Table(
    "network_confirmation",
    METADATA,
    sa.Column("migration_id", sa.String(40), primary_key=True),
    sa.Column("what", sa.String(60), primary_key=True),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)
EVIDENCE = sa.Table(
    "network_evidence",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("migration_id", sa.String(40), nullable=False, index=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("stage", sa.String(20), nullable=False),
    sa.Column("kind", sa.String(30), nullable=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sqlite_autoincrement=True,
)
SCHEMA = Schema("network", METADATA, (METADATA.create_all,))


@dataclass(frozen=True, slots=True)
class Migration:
    """stage: reached; goal: where to; is_silent: the historical provider is told nothing, a flip was taken back."""

    id: str
    intent: str
    stage: str
    goal: str
    is_paused: bool
    is_silent: bool
    note: str
    created_at: int
    changed_at: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something that was seen or done on the way. kind: preflight, asked, seen, packets, probe, reached, taken_back."""

    at: int
    stage: str
    kind: str
    words: str
    facts: dict[str, Any]


def insert(tx: Tx, *, id: str, intent: str, stage: str, goal: str) -> None:
    moment = {"created_at": tx.now, "changed_at": tx.now}
    values = {"id": id, "intent": intent, "stage": stage, "goal": goal, "note": ""}
    tx.conn.execute(sa.insert(MIGRATION).values(is_paused=False, is_silent=False, **values, **moment))


def migration(conn: sa.Connection, id: str) -> Migration | None:
    row = conn.execute(sa.select(MIGRATION).where(MIGRATION.c.id == id)).one_or_none()
    return Migration(**row._mapping) if row is not None else None


def migrations(conn: sa.Connection) -> list[Migration]:
    return [Migration(**row._mapping) for row in conn.execute(sa.select(MIGRATION).order_by(MIGRATION.c.created_at))]


def change(tx: Tx, id: str, **values: Any) -> None:
    tx.conn.execute(sa.update(MIGRATION).where(MIGRATION.c.id == id).values(changed_at=tx.now, **values))


def confirm(tx: Tx, id: str, *, what: str, words: str) -> None:
    where = (CONFIRMATION.c.migration_id == id) & (CONFIRMATION.c.what == what)
    tx.conn.execute(sa.delete(CONFIRMATION).where(where))
    tx.conn.execute(sa.insert(CONFIRMATION).values(migration_id=id, what=what, words=words, at=tx.now))


def confirmations(conn: sa.Connection, id: str) -> dict[str, str]:
    rows = conn.execute(sa.select(CONFIRMATION).where(CONFIRMATION.c.migration_id == id))
    return {row.what: row.words for row in rows}


def add_evidence(tx: Tx, id: str, *, stage: str, kind: str, words: str, facts: dict[str, Any]) -> None:
    values = {"migration_id": id, "at": tx.now, "stage": stage, "kind": kind, "words": words, "facts": facts}
    tx.conn.execute(sa.insert(EVIDENCE).values(**values))


def evidence(conn: sa.Connection, id: str) -> list[Evidence]:
    query = sa.select(EVIDENCE).where(EVIDENCE.c.migration_id == id).order_by(EVIDENCE.c.id)
    return [Evidence(row.at, row.stage, row.kind, row.words, row.facts) for row in conn.execute(query)]
