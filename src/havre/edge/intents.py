"""What other rooms may ask of the edge, each inside the caller's transaction. Who may ask is decided by the caller."""

from __future__ import annotations

from havre.base.errors import ConflictError, NotFoundError
from havre.edge import tables
from havre.edge.model import Domain, Name, Vhost, parse_name
from havre.kernel.store import Tx


def claim(tx: Tx, *, app_id: str, owner_id: str, fqdn: str, is_default: bool | None = None) -> Vhost:
    """Give `fqdn` to the app; the app's own name once more is no error.

    is_default: None makes it the default name when it is the app's first and below the base domain.
    Raises InvalidError for what is no name or is reserved, ConflictError when somebody else has it: one app has a
    name, and one owner has all the names of a host and those that a wildcard covers.
    """
    domain = tables.domain(tx.conn)
    name = parse_name(fqdn, domain)
    held = tables.vhost(tx.conn, name.fqdn)
    if held is not None and held.app_id == app_id:
        return held
    if held is not None or any(other.owner_id != owner_id for other in _around(tx, name)):
        raise ConflictError(f"Domain {name.fqdn!r} is already taken by another application", fqdn=name.fqdn)
    if is_default is None:
        is_default = _is_below(name, domain) and not tables.vhosts_of(tx.conn, app_id)
    tables.insert(tx.conn, name, app_id=app_id, owner_id=owner_id, is_default=is_default, now=tx.now)
    tx.emit("edge.vhost.claimed", owner_id=owner_id, subject=app_id, fqdn=name.fqdn)
    made = tables.vhost(tx.conn, name.fqdn)
    assert made is not None
    return made


def release(tx: Tx, *, app_id: str, fqdn: str) -> None:
    """Take `fqdn` away from the app. Raises NotFoundError when the app does not have it."""
    held = _own(tx, app_id, fqdn)
    tables.delete(tx.conn, app_id=app_id, fqdn=held.fqdn)
    tx.emit("edge.vhost.released", owner_id=held.owner_id, subject=app_id, fqdn=held.fqdn)


def release_all(tx: Tx, app_id: str) -> None:
    """Take every name away from the app and forget it. Idempotent."""
    for each in tables.vhosts_of(tx.conn, app_id):
        tx.emit("edge.vhost.released", owner_id=each.owner_id, subject=app_id, fqdn=each.fqdn)
    tables.delete_all(tx.conn, app_id)


def set_favourite(tx: Tx, *, app_id: str, fqdn: str) -> Vhost:
    """Make `fqdn` the name that is shown first. Raises NotFoundError when the app does not have it."""
    held = _own(tx, app_id, fqdn)
    tables.set_favourite(tx.conn, app_id=app_id, fqdn=held.fqdn)
    tx.emit("edge.vhost.favoured", owner_id=held.owner_id, subject=app_id, fqdn=held.fqdn)
    chosen = tables.vhost(tx.conn, held.fqdn)
    assert chosen is not None
    return chosen


def unset_favourite(tx: Tx, *, app_id: str) -> None:
    """No name is shown first any more. Idempotent."""
    tables.set_favourite(tx.conn, app_id=app_id, fqdn=None)


def set_force_https(tx: Tx, *, app_id: str, is_on: bool) -> None:
    """Whether plain HTTP of the app's names is sent to HTTPS. Idempotent."""
    if tables.is_forced(tx.conn, app_id) != is_on:
        tables.set_forced(tx.conn, app_id, is_on=is_on)
        tx.emit("edge.https.changed", subject=app_id, is_forced=is_on)


def _own(tx: Tx, app_id: str, fqdn: str) -> Vhost:
    text = fqdn.strip().rstrip("/")
    host, slash, prefix = text.partition("/")
    held = tables.vhost(tx.conn, host.lower() + slash + prefix)
    if held is None or held.app_id != app_id:
        raise NotFoundError(f"Domain {fqdn!r} is not a domain of this application", fqdn=fqdn)
    return held


def _around(tx: Tx, name: Name) -> list[Vhost]:
    """The names that share requests with `name`: the same host, a wildcard over it, hosts under it."""
    parent = name.host.partition(".")[2]
    found = tables.on_hosts(tx.conn, {name.host, f"*.{parent}"} if not _is_base(tx, parent) else {name.host})
    if name.is_wildcard:
        found += tables.below(tx.conn, parent)
    return found


def _is_base(tx: Tx, parent: str) -> bool:
    return parent == tables.domain(tx.conn).base


def _is_below(name: Name, domain: Domain) -> bool:
    return name.host.endswith("." + domain.base) and not name.prefix
