"""SQL of governance. Token secrets stay readable, because an OAuth 1 signature is made of them; passwords do not."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from havre.kernel.store import Schema, Tx

METADATA = sa.MetaData()
PERSON = sa.Table(
    "person",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("email", sa.String(254), nullable=False, unique=True),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("password", sa.String(200), nullable=False),
    sa.Column("is_operator", sa.Boolean, nullable=False),
    sa.Column("personal_owner_id", sa.String(64), nullable=False, unique=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
OWNER = sa.Table(
    "owner",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("is_personal", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
MEMBER = sa.Table(
    "member",
    METADATA,
    sa.Column("owner_id", sa.String(64), sa.ForeignKey("owner.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("person_id", sa.String(64), sa.ForeignKey("person.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("role", sa.String(12), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
TOKEN = sa.Table(
    "token",
    METADATA,
    sa.Column("token", sa.String(64), primary_key=True),
    sa.Column("secret", sa.String(64), nullable=False),
    sa.Column("person_id", sa.String(64), sa.ForeignKey("person.id", ondelete="CASCADE"), nullable=False),
    sa.Column("consumer", sa.String(64), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
)
CLI_TOKEN = sa.Table(
    "cli_token",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("token", sa.String(64), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
AUDIT = sa.Table(
    "audit",
    METADATA,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("owner_id", sa.String(64), index=True),
    sa.Column("actor_id", sa.String(64)),
    sa.Column("action", sa.String(80), nullable=False),
    sa.Column("subject", sa.String(200)),
    sa.Column("source", sa.String(64)),
    sa.Column("result", sa.String(16), nullable=False),
)
SCHEMA = Schema("governance", METADATA, (METADATA.create_all, METADATA.create_all))  # the second: accounts, consumers

Row = sa.Row[Any]


def insert_person(tx: Tx, **values: Any) -> None:
    tx.conn.execute(sa.insert(PERSON).values(created_at=tx.now, **values))


def insert_owner(tx: Tx, **values: Any) -> None:
    tx.conn.execute(sa.insert(OWNER).values(created_at=tx.now, **values))


def put_member(tx: Tx, *, owner_id: str, person_id: str, role: str) -> None:
    where = (MEMBER.c.owner_id == owner_id) & (MEMBER.c.person_id == person_id)
    if not tx.conn.execute(sa.update(MEMBER).where(where).values(role=role)).rowcount:
        row = {"owner_id": owner_id, "person_id": person_id, "role": role, "created_at": tx.now}
        tx.conn.execute(sa.insert(MEMBER).values(**row))


def insert_token(tx: Tx, **values: Any) -> None:
    tx.conn.execute(sa.insert(TOKEN).values(created_at=tx.now, **values))


def person(conn: sa.Connection, id: str) -> Row | None:
    return conn.execute(sa.select(PERSON).where(PERSON.c.id == id)).one_or_none()


def person_by_email(conn: sa.Connection, email: str) -> Row | None:
    return conn.execute(sa.select(PERSON).where(PERSON.c.email == email)).one_or_none()


def people(conn: sa.Connection) -> list[Row]:
    return list(conn.execute(sa.select(PERSON).order_by(PERSON.c.created_at)))


def token(conn: sa.Connection, value: str) -> Row | None:
    query = sa.select(TOKEN, PERSON.c.name, PERSON.c.email, PERSON.c.is_operator).join(PERSON)
    return conn.execute(query.where(TOKEN.c.token == value)).one_or_none()


def membership(conn: sa.Connection, *, owner_id: str, person_id: str) -> Row | None:
    query = sa.select(OWNER, MEMBER.c.role).join(MEMBER)
    return conn.execute(query.where(OWNER.c.id == owner_id, MEMBER.c.person_id == person_id)).one_or_none()


def owners_of(conn: sa.Connection, person_id: str) -> list[Row]:
    query = sa.select(OWNER, MEMBER.c.role).join(MEMBER).where(MEMBER.c.person_id == person_id)
    return list(conn.execute(query.order_by(OWNER.c.is_personal.desc(), OWNER.c.created_at, OWNER.c.id)))


def members_of(conn: sa.Connection, owner_id: str) -> list[Row]:
    query = sa.select(PERSON, MEMBER.c.role).join(MEMBER).where(MEMBER.c.owner_id == owner_id)
    return list(conn.execute(query.order_by(MEMBER.c.created_at)))


def insert_cli_token(tx: Tx, *, digest: str, token: str) -> None:
    tx.conn.execute(sa.insert(CLI_TOKEN).values(digest=digest, token=token, created_at=tx.now))


def take_cli_token(tx: Tx, digest: str) -> str | None:
    found = tx.conn.execute(sa.select(CLI_TOKEN.c.token).where(CLI_TOKEN.c.digest == digest)).scalar_one_or_none()
    tx.conn.execute(sa.delete(CLI_TOKEN).where(CLI_TOKEN.c.digest == digest))
    return found


def forget_cli_tokens(tx: Tx, *, before: int) -> int:
    return tx.conn.execute(sa.delete(CLI_TOKEN).where(CLI_TOKEN.c.created_at < before)).rowcount


def delete_token(tx: Tx, value: str) -> int:
    return tx.conn.execute(sa.delete(TOKEN).where(TOKEN.c.token == value)).rowcount


def tokens_of(conn: sa.Connection, person_id: str) -> list[Row]:
    return list(conn.execute(sa.select(TOKEN).where(TOKEN.c.person_id == person_id).order_by(TOKEN.c.created_at)))


def delete_tokens_of(tx: Tx, person_id: str, *, but: str = "") -> int:
    where = (TOKEN.c.person_id == person_id) & (TOKEN.c.token != but)
    return tx.conn.execute(sa.delete(TOKEN).where(where)).rowcount


def forget_tokens(tx: Tx, *, before: int) -> int:
    return tx.conn.execute(sa.delete(TOKEN).where(TOKEN.c.expires_at < before)).rowcount


def update_person(tx: Tx, id: str, **values: Any) -> None:
    tx.conn.execute(sa.update(PERSON).where(PERSON.c.id == id).values(**values))


def delete_person(tx: Tx, id: str) -> None:
    tx.conn.execute(sa.delete(PERSON).where(PERSON.c.id == id))


def owner(conn: sa.Connection, id: str) -> Row | None:
    return conn.execute(sa.select(OWNER).where(OWNER.c.id == id)).one_or_none()


def owners(conn: sa.Connection) -> list[Row]:
    return list(conn.execute(sa.select(OWNER).order_by(OWNER.c.created_at, OWNER.c.id)))


def update_owner(tx: Tx, id: str, **values: Any) -> None:
    tx.conn.execute(sa.update(OWNER).where(OWNER.c.id == id).values(**values))


def delete_owner(tx: Tx, id: str) -> None:
    tx.conn.execute(sa.delete(OWNER).where(OWNER.c.id == id))


def delete_member(tx: Tx, *, owner_id: str, person_id: str) -> int:
    where = (MEMBER.c.owner_id == owner_id) & (MEMBER.c.person_id == person_id)
    return tx.conn.execute(sa.delete(MEMBER).where(where)).rowcount


def insert_audit(tx: Tx, **values: Any) -> None:
    tx.conn.execute(sa.insert(AUDIT).values(at=tx.now, **values))


def audit_of(conn: sa.Connection, owner_id: str, *, limit: int) -> list[Row]:
    query = sa.select(AUDIT).where(AUDIT.c.owner_id == owner_id).order_by(AUDIT.c.seq.desc()).limit(limit)
    return list(conn.execute(query))


def forget_audit(tx: Tx, *, before: int) -> int:
    return tx.conn.execute(sa.delete(AUDIT).where(AUDIT.c.at < before)).rowcount
