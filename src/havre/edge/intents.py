"""What other rooms may ask of the edge, each inside the caller's transaction. Who may ask is decided by the caller."""

from __future__ import annotations

from collections.abc import Collection

from havre.base.errors import ConflictError, ExhaustedError, InvalidError, NotFoundError
from havre.base.ids import AppId, OwnerId
from havre.edge import decide, tables
from havre.edge.model import Domain, Name, Redirection, Vhost, parse_name
from havre.edge.views import around
from havre.kernel.store import Tx

NAMESPACES = ("default", "cleverapps")
MOST_REDIRECTIONS = 20


def claim(
    tx: Tx, *, app_id: str, owner_id: str, fqdn: str, is_default: bool | None = None, is_proven: bool = False
) -> Vhost:
    """Give `fqdn` to the app; the app's own name once more is no error.

    is_default: None makes it the default name when it is the app's first and below the base domain.
    is_proven: the owner has shown that the host is theirs: what another owner has of it is taken from them.
    Raises InvalidError for what is no name or is reserved, ConflictError when somebody else has it: one app has a
    name, and one owner has all the names of a host and those that a wildcard covers. The conflict's fact `provable`
    says whether a proof would end it.
    """
    domain = tables.domain(tx.conn)
    name = parse_name(fqdn, domain)
    if is_proven and not name.host.endswith("." + domain.base):
        _take_over(tx, name, owner_id)
    others = around(tx.conn, name, domain)
    held = next((each for each in others if each.fqdn == name.fqdn), None)
    if held is not None and held.app_id == app_id:
        return held
    strangers = [other for other in others if other.owner_id != owner_id]
    if is_proven:
        strangers = [other for other in strangers if not other.fqdn.startswith("*.")]  # a wildcard yields to a host
    if held is not None or strangers:
        provable = bool(strangers) and not name.host.endswith("." + domain.base)
        text = f"Domain {name.fqdn!r} is already taken by another application"
        raise ConflictError(text, fqdn=name.fqdn, host=name.host, provable=provable)
    if is_default is None:
        is_default = _is_below(name, domain) and not tables.vhosts_of(tx.conn, app_id)
    made = tables.insert(tx.conn, name, app_id=app_id, owner_id=owner_id, is_default=is_default, now=tx.now)
    tx.emit("edge.vhost.claimed", owner_id=owner_id, subject=app_id, fqdn=name.fqdn)
    return made


def _take_over(tx: Tx, name: Name, owner_id: str) -> None:
    """What strangers have of the host, or under the wildcard, is theirs no more."""
    found = tables.on_hosts(tx.conn, {name.host})
    if name.is_wildcard:
        found += tables.below(tx.conn, name.host.removeprefix("*."))
    for each in found:
        if each.owner_id != owner_id:
            tables.delete(tx.conn, app_id=each.app_id, fqdn=each.fqdn)
            tx.emit("edge.vhost.lost", owner_id=each.owner_id, subject=each.app_id, fqdn=each.fqdn)


def release(tx: Tx, *, app_id: str, fqdn: str) -> None:
    """Take `fqdn` away from the app. Raises NotFoundError when the app does not have it."""
    held = _own(tx, app_id, fqdn)
    tables.delete(tx.conn, app_id=app_id, fqdn=held.fqdn)
    tx.emit("edge.vhost.released", owner_id=held.owner_id, subject=app_id, fqdn=held.fqdn)


def release_all(tx: Tx, app_id: str) -> None:
    """Take every name away from the app and forget it. Idempotent."""
    for each in tables.vhosts_of(tx.conn, app_id):
        tx.emit("edge.vhost.released", owner_id=each.owner_id, subject=app_id, fqdn=each.fqdn)
    for port in [each.port for each in tables.redirections(tx.conn, app_id=app_id)]:
        tx.emit("edge.redirection.removed", subject=app_id, port=port)
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


def set_sticky(tx: Tx, *, app_id: str, is_on: bool) -> None:
    """Whether a visitor stays with the instance that they met first. Idempotent."""
    if tables.is_sticky(tx.conn, app_id) != is_on:
        tables.set_sticky(tx.conn, app_id, is_on=is_on)
        tx.emit("edge.sticky.changed", subject=app_id, is_sticky=is_on)


def add_redirection(
    tx: Tx, *, app_id: str, owner_id: str, namespace: str, ports: tuple[int, int], taken: Collection[int] = ()
) -> Redirection:
    """Give the app a public port of `ports` (first, last) that nobody has, nor is in `taken`.

    Raises InvalidError for an unknown namespace, ExhaustedError when the app or the range has no more.
    """
    if namespace not in NAMESPACES:
        raise InvalidError(f"there is no namespace {namespace!r}; there are: {', '.join(NAMESPACES)}")
    held = tables.redirections(tx.conn)
    if sum(1 for each in held if each.app_id == app_id) >= MOST_REDIRECTIONS:
        raise ExhaustedError(f"an application may have {MOST_REDIRECTIONS} TCP redirections")
    port = decide.free_port({each.port for each in held} | set(taken), first=ports[0], last=ports[1])
    if port is None:
        raise ExhaustedError(f"no port is free between {ports[0]} and {ports[1]}; an operator can widen edge.tcp_ports")
    made = Redirection(port, namespace, AppId(app_id), OwnerId(owner_id), tx.now)
    tables.insert_redirection(tx.conn, made)
    tx.emit("edge.redirection.added", owner_id=owner_id, subject=app_id, port=port, namespace=namespace)
    return made


def remove_redirection(tx: Tx, *, app_id: str, namespace: str, port: int) -> None:
    """Take the port from the app. Raises NotFoundError when the app does not have it."""
    held = [each for each in tables.redirections(tx.conn, app_id=app_id) if each.port == port]
    if not held or held[0].namespace != namespace:
        raise NotFoundError(f"The application has no TCP redirection from port {port} in namespace {namespace!r}")
    tables.delete_redirection(tx.conn, port)
    tx.emit("edge.redirection.removed", owner_id=held[0].owner_id, subject=app_id, port=port, namespace=namespace)


def _own(tx: Tx, app_id: str, fqdn: str) -> Vhost:
    text = fqdn.strip().rstrip("/")
    host, slash, prefix = text.partition("/")
    held = tables.vhost(tx.conn, host.lower() + slash + prefix)
    if held is None or held.app_id != app_id:
        raise NotFoundError(f"Domain {fqdn!r} is not a domain of this application", fqdn=fqdn)
    return held


def _is_below(name: Name, domain: Domain) -> bool:
    return name.host.endswith("." + domain.base) and not name.prefix
