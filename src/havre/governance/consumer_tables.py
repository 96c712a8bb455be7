"""SQL of other programs that act for people: consumers, requests under way, what was granted; quotas, invitations."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from havre.governance.tables import METADATA, TOKEN, Row
from havre.kernel.store import Tx

CONSUMER = sa.Table(
    "consumer",
    METADATA,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("secret", sa.String(64), nullable=False),
    sa.Column("owner_id", sa.String(64), sa.ForeignKey("owner.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("description", sa.String(400), nullable=False),
    sa.Column("url", sa.String(400), nullable=False),
    sa.Column("picture", sa.String(400), nullable=False),
    sa.Column("base_url", sa.String(400), nullable=False),
    sa.Column("rights", sa.JSON, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
OAUTH_REQUEST = sa.Table(
    "oauth_request",
    METADATA,
    sa.Column("token", sa.String(64), primary_key=True),
    sa.Column("secret", sa.String(64), nullable=False),
    sa.Column("consumer", sa.String(64), sa.ForeignKey("consumer.key", ondelete="CASCADE"), nullable=False),
    sa.Column("callback", sa.String(1000), nullable=False),
    sa.Column("verifier", sa.String(64), nullable=False),  # empty until somebody has allowed it
    sa.Column("person_id", sa.String(64)),
    sa.Column("rights", sa.JSON, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
GRANT = sa.Table(
    "oauth_grant",
    METADATA,
    sa.Column("token", sa.String(64), sa.ForeignKey("token.token", ondelete="CASCADE"), primary_key=True),
    sa.Column("rights", sa.JSON, nullable=False),
)
INVITATION = sa.Table(
    "invitation",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("owner_id", sa.String(64), sa.ForeignKey("owner.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("email", sa.String(254), nullable=False),
    sa.Column("role", sa.String(12), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
QUOTA = sa.Table(
    "quota",
    METADATA,
    sa.Column("owner_id", sa.String(64), sa.ForeignKey("owner.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("apps", sa.Integer, nullable=False),
    sa.Column("instances", sa.Integer, nullable=False),
)


def insert_consumer(tx: Tx, **values: Any) -> None:
    tx.conn.execute(sa.insert(CONSUMER).values(created_at=tx.now, **values))


def consumer(conn: sa.Connection, key: str) -> Row | None:
    return conn.execute(sa.select(CONSUMER).where(CONSUMER.c.key == key)).one_or_none()


def consumers_of(conn: sa.Connection, owner_ids: list[str]) -> list[Row]:
    query = sa.select(CONSUMER).where(CONSUMER.c.owner_id.in_(owner_ids)).order_by(CONSUMER.c.created_at)
    return list(conn.execute(query))


def update_consumer(tx: Tx, key: str, **values: Any) -> None:
    tx.conn.execute(sa.update(CONSUMER).where(CONSUMER.c.key == key).values(**values))


def delete_consumer(tx: Tx, key: str) -> None:
    """With it go its requests and every token that people gave it."""
    tokens = sa.select(TOKEN.c.token).where(TOKEN.c.consumer == key)
    tx.conn.execute(sa.delete(GRANT).where(GRANT.c.token.in_(tokens)))
    tx.conn.execute(sa.delete(TOKEN).where(TOKEN.c.consumer == key))
    tx.conn.execute(sa.delete(OAUTH_REQUEST).where(OAUTH_REQUEST.c.consumer == key))
    tx.conn.execute(sa.delete(CONSUMER).where(CONSUMER.c.key == key))


def insert_request(tx: Tx, **values: Any) -> None:
    tx.conn.execute(sa.insert(OAUTH_REQUEST).values(created_at=tx.now, **values))


def request(conn: sa.Connection, token: str) -> Row | None:
    return conn.execute(sa.select(OAUTH_REQUEST).where(OAUTH_REQUEST.c.token == token)).one_or_none()


def update_request(tx: Tx, token: str, **values: Any) -> None:
    tx.conn.execute(sa.update(OAUTH_REQUEST).where(OAUTH_REQUEST.c.token == token).values(**values))


def delete_request(tx: Tx, token: str) -> None:
    tx.conn.execute(sa.delete(OAUTH_REQUEST).where(OAUTH_REQUEST.c.token == token))


def forget_requests(tx: Tx, *, before: int) -> int:
    return tx.conn.execute(sa.delete(OAUTH_REQUEST).where(OAUTH_REQUEST.c.created_at < before)).rowcount


def insert_grant(tx: Tx, token: str, rights: list[str]) -> None:
    tx.conn.execute(sa.insert(GRANT).values(token=token, rights=rights))


def rights_of(conn: sa.Connection, token: str) -> list[str]:
    return list(conn.execute(sa.select(GRANT.c.rights).where(GRANT.c.token == token)).scalar_one_or_none() or [])


def insert_invitation(tx: Tx, **values: Any) -> None:
    tx.conn.execute(sa.insert(INVITATION).values(created_at=tx.now, **values))


def invitation(conn: sa.Connection, digest: str) -> Row | None:
    return conn.execute(sa.select(INVITATION).where(INVITATION.c.digest == digest)).one_or_none()


def delete_invitation(tx: Tx, digest: str) -> None:
    tx.conn.execute(sa.delete(INVITATION).where(INVITATION.c.digest == digest))


def forget_invitations(tx: Tx, *, before: int) -> int:
    return tx.conn.execute(sa.delete(INVITATION).where(INVITATION.c.created_at < before)).rowcount


def quota(conn: sa.Connection, owner_id: str) -> Row | None:
    return conn.execute(sa.select(QUOTA).where(QUOTA.c.owner_id == owner_id)).one_or_none()


def put_quota(tx: Tx, owner_id: str, *, apps: int, instances: int) -> None:
    values = {"apps": apps, "instances": instances}
    if not tx.conn.execute(sa.update(QUOTA).where(QUOTA.c.owner_id == owner_id).values(**values)).rowcount:
        tx.conn.execute(sa.insert(QUOTA).values(owner_id=owner_id, **values))
