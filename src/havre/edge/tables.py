"""SQL over the edge's own tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from havre.base.ids import AppId, OwnerId
from havre.edge.certificates import tables as certificates
from havre.edge.certificates.model import Site
from havre.edge.model import Domain, Name, Redirection, Vhost
from havre.kernel.config import EdgeConfig
from havre.kernel.store import Schema

METADATA = sa.MetaData()
VHOST = sa.Table(
    "vhost",
    METADATA,
    sa.Column("fqdn", sa.String(300), primary_key=True),
    sa.Column("host", sa.String(255), nullable=False, index=True),
    sa.Column("app_id", sa.String(64), nullable=False, index=True),
    sa.Column("owner_id", sa.String(64), nullable=False),
    sa.Column("is_default", sa.Boolean, nullable=False),
    sa.Column("is_favourite", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
FORCED = sa.Table(  # apps whose plain HTTP is sent to HTTPS
    "edge_forced_https",
    METADATA,
    sa.Column("app_id", sa.String(64), primary_key=True),
)
DOMAIN = sa.Table(  # what names are checked against, as it was at the last start
    "edge_domain",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("base", sa.String(255), nullable=False),
    sa.Column("name_limit", sa.Integer, nullable=False),
)


STICKY = sa.Table(  # apps whose visitors stay with their instance
    "edge_sticky",
    METADATA,
    sa.Column("app_id", sa.String(64), primary_key=True),
)
REDIRECTION = sa.Table(
    "edge_redirection",
    METADATA,
    sa.Column("port", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("namespace", sa.String(64), nullable=False),
    sa.Column("app_id", sa.String(64), nullable=False, index=True),
    sa.Column("owner_id", sa.String(64), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
PROOF = sa.Table(  # what the tokens are made of that prove who has a host
    "edge_proof",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("secret", sa.String(64), nullable=False),
)


def _create(conn: sa.Connection) -> None:
    METADATA.create_all(conn, tables=[VHOST, FORCED, DOMAIN])


def _add_certificates_and_redirections(conn: sa.Connection) -> None:
    METADATA.create_all(conn, tables=[STICKY, REDIRECTION, PROOF])
    certificates.METADATA.create_all(conn)


SCHEMA = Schema("edge", METADATA, (_create, _add_certificates_and_redirections))


def _vhost(row: sa.Row[Any]) -> Vhost:
    return Vhost(
        fqdn=row.fqdn,
        app_id=AppId(row.app_id),
        owner_id=OwnerId(row.owner_id),
        is_default=row.is_default,
        is_favourite=row.is_favourite,
        created_at=row.created_at,
    )


def vhosts_of(conn: sa.Connection, app_id: str) -> list[Vhost]:
    """Oldest first, then by name."""
    query = sa.select(VHOST).where(VHOST.c.app_id == app_id).order_by(VHOST.c.created_at, VHOST.c.fqdn)
    return [_vhost(row) for row in conn.execute(query)]


def vhosts_of_owner(conn: sa.Connection, owner_id: str) -> list[Vhost]:
    """Oldest first, then by name."""
    query = sa.select(VHOST).where(VHOST.c.owner_id == owner_id).order_by(VHOST.c.created_at, VHOST.c.fqdn)
    return [_vhost(row) for row in conn.execute(query)]


@dataclass(frozen=True, slots=True)
class ServedRow:
    """A vhost with what holds for all names of its app."""

    fqdn: str
    app_id: str
    is_forced: bool
    is_sticky: bool


def served(
    conn: sa.Connection,
    *,
    app_id: str | None = None,
    hosts: Collection[str] | None = None,
) -> list[ServedRow]:
    """Every vhost as it is to be served; or those of an app; or those of `hosts`."""
    forced, sticky = FORCED.c.app_id.is_not(None), STICKY.c.app_id.is_not(None)
    joined = VHOST.outerjoin(FORCED, FORCED.c.app_id == VHOST.c.app_id)
    joined = joined.outerjoin(STICKY, STICKY.c.app_id == VHOST.c.app_id)
    query = sa.select(VHOST.c.fqdn, VHOST.c.app_id, forced, sticky).select_from(joined)
    if app_id is not None:
        query = query.where(VHOST.c.app_id == app_id)
    if hosts is not None:
        query = query.where(VHOST.c.host.in_(list(hosts)))
    return [ServedRow(row[0], row[1], bool(row[2]), bool(row[3])) for row in conn.execute(query)]


def count(conn: sa.Connection) -> int:
    return conn.execute(sa.select(sa.func.count()).select_from(VHOST)).scalar_one()


def sites(conn: sa.Connection, hosts: Collection[str] | None = None) -> list[Site]:
    """The hosts of all vhosts, or of those named, each with its owner."""
    query = sa.select(VHOST.c.host, VHOST.c.owner_id).distinct()
    if hosts is not None:
        query = query.where(VHOST.c.host.in_(list(hosts)))
    return [Site(host, owner_id) for host, owner_id in conn.execute(query)]


def vhost(conn: sa.Connection, fqdn: str) -> Vhost | None:
    row = conn.execute(sa.select(VHOST).where(VHOST.c.fqdn == fqdn)).one_or_none()
    return _vhost(row) if row is not None else None


def on_hosts(conn: sa.Connection, hosts: Iterable[str]) -> list[Vhost]:
    """The vhosts whose host is one of `hosts`."""
    return [_vhost(row) for row in conn.execute(sa.select(VHOST).where(VHOST.c.host.in_(list(hosts))))]


def below(conn: sa.Connection, suffix: str) -> list[Vhost]:
    """The vhosts whose host ends in `.suffix`, at any depth."""
    query = sa.select(VHOST).where(VHOST.c.host.endswith("." + suffix, autoescape=True))
    return [_vhost(row) for row in conn.execute(query)]


def insert(conn: sa.Connection, name: Name, *, app_id: str, owner_id: str, is_default: bool, now: int) -> Vhost:
    values: dict[str, object] = {"fqdn": name.fqdn, "host": name.host, "app_id": app_id, "owner_id": owner_id}
    values |= {"is_default": is_default, "is_favourite": False, "created_at": now}
    return _vhost(conn.execute(sa.insert(VHOST).values(**values).returning(VHOST)).one())


def delete(conn: sa.Connection, *, app_id: str, fqdn: str) -> bool:
    """Whether it was there."""
    where = (VHOST.c.app_id == app_id) & (VHOST.c.fqdn == fqdn)
    return conn.execute(sa.delete(VHOST).where(where)).rowcount > 0


def delete_all(conn: sa.Connection, app_id: str) -> int:
    for table in (FORCED, STICKY, REDIRECTION):
        conn.execute(sa.delete(table).where(table.c.app_id == app_id))
    return conn.execute(sa.delete(VHOST).where(VHOST.c.app_id == app_id)).rowcount


def set_favourite(conn: sa.Connection, *, app_id: str, fqdn: str | None) -> None:
    """Make `fqdn` the one favourite of the app; None: it has none."""
    chosen = VHOST.c.fqdn == fqdn if fqdn is not None else sa.false()
    conn.execute(sa.update(VHOST).where(VHOST.c.app_id == app_id).values(is_favourite=chosen))


def is_forced(conn: sa.Connection, app_id: str) -> bool:
    return conn.execute(sa.select(FORCED).where(FORCED.c.app_id == app_id)).one_or_none() is not None


def is_sticky(conn: sa.Connection, app_id: str) -> bool:
    return conn.execute(sa.select(STICKY).where(STICKY.c.app_id == app_id)).one_or_none() is not None


def set_forced(conn: sa.Connection, app_id: str, *, is_on: bool) -> None:
    _set(conn, FORCED, app_id, is_on=is_on)


def set_sticky(conn: sa.Connection, app_id: str, *, is_on: bool) -> None:
    _set(conn, STICKY, app_id, is_on=is_on)


def _set(conn: sa.Connection, table: sa.Table, app_id: str, *, is_on: bool) -> None:
    if is_on:
        conn.execute(sa.insert(table).values(app_id=app_id))
    else:
        conn.execute(sa.delete(table).where(table.c.app_id == app_id))


def redirections(conn: sa.Connection, *, app_id: str | None = None) -> list[Redirection]:
    """By port."""
    query = sa.select(REDIRECTION).order_by(REDIRECTION.c.port)
    if app_id is not None:
        query = query.where(REDIRECTION.c.app_id == app_id)
    return [Redirection(**row._mapping) for row in conn.execute(query)]


def insert_redirection(conn: sa.Connection, made: Redirection) -> None:
    values = {name: getattr(made, name) for name in Redirection.__dataclass_fields__}
    conn.execute(sa.insert(REDIRECTION).values(**values))


def delete_redirection(conn: sa.Connection, port: int) -> None:
    conn.execute(sa.delete(REDIRECTION).where(REDIRECTION.c.port == port))


def proof_secret(conn: sa.Connection) -> str | None:
    return conn.execute(sa.select(PROOF.c.secret)).scalar_one_or_none()


def set_proof_secret(conn: sa.Connection, secret: str) -> None:
    conn.execute(sa.insert(PROOF).values(id=1, secret=secret))


def domain(conn: sa.Connection) -> Domain:
    """What names are checked against; the default settings' before the first start."""
    row = conn.execute(sa.select(DOMAIN.c.base, DOMAIN.c.name_limit)).one_or_none()
    return Domain(row.base, row.name_limit) if row is not None else Domain(EdgeConfig().base_domain)


def set_domain(conn: sa.Connection, wanted: Domain) -> None:
    conn.execute(sa.delete(DOMAIN))
    conn.execute(sa.insert(DOMAIN).values(id=1, base=wanted.base, name_limit=wanted.name_limit))
