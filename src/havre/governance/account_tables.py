"""SQL of what belongs to one person: sessions, second factor, keys, addresses, API tokens."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from havre.governance.tables import METADATA, PERSON, Row
from havre.kernel.store import Tx

PERSON_ID = "person.id"


def _owner() -> sa.Column[Any]:
    return sa.Column(
        "person_id", sa.String(64), sa.ForeignKey(PERSON_ID, ondelete="CASCADE"), nullable=False, index=True
    )


SESSION = sa.Table(
    "session",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    _owner(),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("seen_at", sa.BigInteger, nullable=False),
    sa.Column("source", sa.String(64), nullable=False),
    sa.Column("agent", sa.String(200), nullable=False),
)
SECOND_FACTOR = sa.Table(
    "second_factor",
    METADATA,
    sa.Column("person_id", sa.String(64), sa.ForeignKey(PERSON_ID, ondelete="CASCADE"), primary_key=True),
    sa.Column("secret", sa.String(64), nullable=False),
    sa.Column("is_confirmed", sa.Boolean, nullable=False),
    sa.Column("last_step", sa.BigInteger, nullable=False),
    sa.Column("codes", sa.JSON, nullable=False),  # digests of the codes for the day the phone is lost
)
SSH_KEY = sa.Table(
    "ssh_key",
    METADATA,
    sa.Column("person_id", sa.String(64), sa.ForeignKey(PERSON_ID, ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(120), primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.String(80), nullable=False, unique=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
EMAIL = sa.Table(
    "person_email",
    METADATA,
    sa.Column("address", sa.String(254), primary_key=True),
    sa.Column("person_id", sa.String(64), sa.ForeignKey(PERSON_ID, ondelete="CASCADE"), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),  # of the confirmation that was sent
    sa.Column("is_confirmed", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
API_TOKEN = sa.Table(
    "api_token",
    METADATA,
    sa.Column("id", sa.String(80), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    _owner(),
    sa.Column("name", sa.String(120), nullable=False),
    sa.Column("description", sa.String(400), nullable=False),
    sa.Column("source", sa.String(64), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
)
_WHO = (PERSON.c.name.label("person_name"), PERSON.c.email, PERSON.c.is_operator)


# sessions


def insert_session(tx: Tx, **values: Any) -> None:
    tx.conn.execute(sa.insert(SESSION).values(created_at=tx.now, seen_at=tx.now, **values))


def session(conn: sa.Connection, digest: str) -> Row | None:
    query = sa.select(SESSION, *_WHO).join(PERSON).where(SESSION.c.digest == digest)
    return conn.execute(query).one_or_none()


def sessions(conn: sa.Connection, person_id: str) -> list[Row]:
    """Those of a person, the one that was used last first."""
    query = sa.select(SESSION).where(SESSION.c.person_id == person_id).order_by(SESSION.c.seen_at.desc())
    return list(conn.execute(query).all())


def touch_session(tx: Tx, digest: str) -> None:
    tx.conn.execute(sa.update(SESSION).where(SESSION.c.digest == digest).values(seen_at=tx.now))


def delete_session(tx: Tx, digest: str) -> None:
    tx.conn.execute(sa.delete(SESSION).where(SESSION.c.digest == digest))


def delete_sessions(tx: Tx, person_id: str, *, but: str = "") -> None:
    tx.conn.execute(sa.delete(SESSION).where(SESSION.c.person_id == person_id, SESSION.c.digest != but))


def forget_sessions(tx: Tx, *, seen_before: int, made_before: int) -> int:
    old = (SESSION.c.seen_at < seen_before) | (SESSION.c.created_at < made_before)
    return tx.conn.execute(sa.delete(SESSION).where(old)).rowcount


# the second factor


def second_factor(conn: sa.Connection, person_id: str) -> Row | None:
    return conn.execute(sa.select(SECOND_FACTOR).where(SECOND_FACTOR.c.person_id == person_id)).one_or_none()


def put_second_factor(tx: Tx, person_id: str, **values: Any) -> None:
    where = SECOND_FACTOR.c.person_id == person_id
    if not tx.conn.execute(sa.update(SECOND_FACTOR).where(where).values(**values)).rowcount:
        tx.conn.execute(sa.insert(SECOND_FACTOR).values(person_id=person_id, **values))


def update_second_factor(tx: Tx, person_id: str, **values: Any) -> None:
    tx.conn.execute(sa.update(SECOND_FACTOR).where(SECOND_FACTOR.c.person_id == person_id).values(**values))


def delete_second_factor(tx: Tx, person_id: str) -> int:
    return tx.conn.execute(sa.delete(SECOND_FACTOR).where(SECOND_FACTOR.c.person_id == person_id)).rowcount


# keys


def ssh_keys(conn: sa.Connection, person_id: str) -> list[Row]:
    return list(conn.execute(sa.select(SSH_KEY).where(SSH_KEY.c.person_id == person_id).order_by(SSH_KEY.c.name)))


def ssh_key_by_fingerprint(conn: sa.Connection, fingerprint: str) -> Row | None:
    query = sa.select(SSH_KEY, *_WHO).join(PERSON).where(SSH_KEY.c.fingerprint == fingerprint)
    return conn.execute(query).one_or_none()


def put_ssh_key(tx: Tx, *, person_id: str, name: str, key: str, fingerprint: str) -> None:
    delete_ssh_key(tx, person_id, name)
    row = {"person_id": person_id, "name": name, "key": key, "fingerprint": fingerprint, "created_at": tx.now}
    tx.conn.execute(sa.insert(SSH_KEY).values(**row))


def delete_ssh_key(tx: Tx, person_id: str, name: str) -> int:
    where = (SSH_KEY.c.person_id == person_id) & (SSH_KEY.c.name == name)
    return tx.conn.execute(sa.delete(SSH_KEY).where(where)).rowcount


# addresses


def emails(conn: sa.Connection, person_id: str) -> list[Row]:
    return list(conn.execute(sa.select(EMAIL).where(EMAIL.c.person_id == person_id).order_by(EMAIL.c.address)))


def confirmed_email(conn: sa.Connection, address: str) -> Row | None:
    return conn.execute(sa.select(EMAIL).where(EMAIL.c.address == address, EMAIL.c.is_confirmed)).first()


def email_by_digest(conn: sa.Connection, digest: str) -> Row | None:
    return conn.execute(sa.select(EMAIL).where(EMAIL.c.digest == digest)).one_or_none()


def put_email(tx: Tx, *, person_id: str, address: str, digest: str, is_confirmed: bool) -> None:
    delete_email(tx, person_id, address)
    row = {"person_id": person_id, "address": address, "digest": digest, "is_confirmed": is_confirmed}
    tx.conn.execute(sa.insert(EMAIL).values(created_at=tx.now, **row))


def confirm_email(tx: Tx, person_id: str, address: str) -> None:
    """The address is this person's from now on; what others asked of it is forgotten."""
    tx.conn.execute(sa.delete(EMAIL).where(EMAIL.c.address == address, EMAIL.c.person_id != person_id))
    where = (EMAIL.c.address == address) & (EMAIL.c.person_id == person_id)
    tx.conn.execute(sa.update(EMAIL).where(where).values(is_confirmed=True))


def delete_email(tx: Tx, person_id: str, address: str) -> int:
    where = (EMAIL.c.person_id == person_id) & (EMAIL.c.address == address)
    return tx.conn.execute(sa.delete(EMAIL).where(where)).rowcount


def forget_unconfirmed_emails(tx: Tx, *, before: int) -> int:
    return tx.conn.execute(sa.delete(EMAIL).where(~EMAIL.c.is_confirmed, EMAIL.c.created_at < before)).rowcount


# API tokens


def insert_api_token(tx: Tx, **values: Any) -> None:
    tx.conn.execute(sa.insert(API_TOKEN).values(created_at=tx.now, **values))


def api_tokens(conn: sa.Connection, person_id: str) -> list[Row]:
    query = sa.select(API_TOKEN).where(API_TOKEN.c.person_id == person_id).order_by(API_TOKEN.c.created_at)
    return list(conn.execute(query))


def api_token_by_digest(conn: sa.Connection, digest: str) -> Row | None:
    query = sa.select(API_TOKEN, *_WHO).join(PERSON).where(API_TOKEN.c.digest == digest)
    return conn.execute(query).one_or_none()


def update_api_token(tx: Tx, person_id: str, id: str, **values: Any) -> int:
    where = (API_TOKEN.c.person_id == person_id) & (API_TOKEN.c.id == id)
    return tx.conn.execute(sa.update(API_TOKEN).where(where).values(**values)).rowcount


def delete_api_token(tx: Tx, person_id: str, id: str) -> int:
    where = (API_TOKEN.c.person_id == person_id) & (API_TOKEN.c.id == id)
    return tx.conn.execute(sa.delete(API_TOKEN).where(where)).rowcount


def delete_api_tokens(tx: Tx, person_id: str) -> int:
    return tx.conn.execute(sa.delete(API_TOKEN).where(API_TOKEN.c.person_id == person_id)).rowcount
