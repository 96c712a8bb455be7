"""SQL over certificates, orders, and the accounts at certificate authorities. Keys are in them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from havre.base.secret import Secret
from havre.drivers.acme import Account
from havre.edge.certificates.model import Certificate, Order

METADATA = sa.MetaData()
CERTIFICATE = sa.Table(
    "edge_certificate",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("owner_id", sa.String(64), index=True),
    sa.Column("names", sa.Text, nullable=False),
    sa.Column("issuer", sa.String(200), nullable=False),
    sa.Column("not_before", sa.BigInteger, nullable=False),
    sa.Column("not_after", sa.BigInteger, nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("chain", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("warned", sa.Integer, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
ORDER = sa.Table(  # tries to get a certificate that failed
    "edge_order",
    METADATA,
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("error", sa.String(500), nullable=False),
    sa.Column("next_at", sa.BigInteger, nullable=False),
)
ACCOUNT = sa.Table(
    "edge_account",
    METADATA,
    sa.Column("directory", sa.String(300), primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("uri", sa.String(500), nullable=False),
)


_SEEN = [CERTIFICATE.c[name] for name in Certificate.__dataclass_fields__]


def _certificate(row: sa.Row[Any]) -> Certificate:
    return Certificate(**dict(row._mapping) | {"names": tuple(json.loads(row.names))})


def certificates(conn: sa.Connection) -> list[Certificate]:
    """Oldest first."""
    query = sa.select(*_SEEN).order_by(CERTIFICATE.c.created_at, CERTIFICATE.c.id)
    return [_certificate(row) for row in conn.execute(query)]


def own_of(conn: sa.Connection, owner_id: str | None) -> list[Certificate]:
    """What an owner uploaded, oldest first; None: the operator."""
    query = sa.select(*_SEEN).where(CERTIFICATE.c.kind == "own", CERTIFICATE.c.owner_id == owner_id)
    return [_certificate(row) for row in conn.execute(query.order_by(CERTIFICATE.c.created_at, CERTIFICATE.c.id))]


def covering(conn: sa.Connection, hosts: Iterable[str]) -> list[Certificate]:
    """Those that may cover one of `hosts`: more, never fewer."""
    names = {name for host in hosts for name in (host, "*." + host.partition(".")[2])}
    likes = [CERTIFICATE.c.names.contains(json.dumps(name), autoescape=True) for name in names]
    return [_certificate(row) for row in conn.execute(sa.select(*_SEEN).where(sa.or_(sa.false(), *likes)))]


def certificate(conn: sa.Connection, id: str) -> Certificate | None:
    row = conn.execute(sa.select(*_SEEN).where(CERTIFICATE.c.id == id)).one_or_none()
    return _certificate(row) if row is not None else None


def material(conn: sa.Connection, id: str) -> Secret | None:
    """The chain, leaf first, and the key: one PEM text. None when the certificate is gone."""
    row = conn.execute(sa.select(CERTIFICATE.c.chain, CERTIFICATE.c.key).where(CERTIFICATE.c.id == id)).one_or_none()
    return Secret(row.chain + row.key) if row is not None else None


def chain(conn: sa.Connection, id: str) -> str:
    return conn.execute(sa.select(CERTIFICATE.c.chain).where(CERTIFICATE.c.id == id)).scalar_one()  # type: ignore[no-any-return]


def insert(conn: sa.Connection, made: Certificate, *, chain: str, key: Secret) -> None:
    values = {name: getattr(made, name) for name in Certificate.__dataclass_fields__}
    values |= {"names": json.dumps(made.names), "issuer": made.issuer[:200], "chain": chain, "key": key.reveal()}
    conn.execute(sa.insert(CERTIFICATE).values(**values))


def delete(conn: sa.Connection, id: str) -> None:
    conn.execute(sa.delete(CERTIFICATE).where(CERTIFICATE.c.id == id))


def set_warned(conn: sa.Connection, id: str, level: int) -> None:
    conn.execute(sa.update(CERTIFICATE).where(CERTIFICATE.c.id == id).values(warned=level))


def orders(conn: sa.Connection) -> dict[str, Order]:
    return {row.host: Order(**row._mapping) for row in conn.execute(sa.select(ORDER))}


def put_order(conn: sa.Connection, order: Order) -> None:
    drop_order(conn, order.host)
    values = {"host": order.host, "failures": order.failures, "error": order.error, "next_at": order.next_at}
    conn.execute(sa.insert(ORDER).values(**values))


def drop_order(conn: sa.Connection, host: str) -> None:
    conn.execute(sa.delete(ORDER).where(ORDER.c.host == host))


def account(conn: sa.Connection, directory: str) -> Account | None:
    row = conn.execute(sa.select(ACCOUNT).where(ACCOUNT.c.directory == directory)).one_or_none()
    return Account(Secret(row.key), row.uri) if row is not None else None


def put_account(conn: sa.Connection, directory: str, account: Account) -> None:
    conn.execute(sa.delete(ACCOUNT).where(ACCOUNT.c.directory == directory))
    values = {"directory": directory, "key": account.key.reveal(), "uri": account.uri}
    conn.execute(sa.insert(ACCOUNT).values(**values))
