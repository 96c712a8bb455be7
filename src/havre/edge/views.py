"""What other rooms may read of the edge."""

from __future__ import annotations

from urllib.parse import unquote

import sqlalchemy as sa

from havre.base.errors import InvalidError
from havre.base.ids import AppId
from havre.base.names import host_name, slug
from havre.edge import tables
from havre.edge.certificates.model import Certificate
from havre.edge.model import Domain, Name, Redirection, Vhost, parse_name, prefixes_of

_SUFFIXES = (6, 12, 32)  # hex digits of the app's id that make a taken name free


def vhosts(conn: sa.Connection, app_id: str) -> list[Vhost]:
    """The app's names, oldest first."""
    return tables.vhosts_of(conn, app_id)


def favourite(conn: sa.Connection, app_id: str) -> Vhost | None:
    """The name that is shown first, when one was chosen."""
    return next((each for each in tables.vhosts_of(conn, app_id) if each.is_favourite), None)


def main_fqdns(conn: sa.Connection, owner_id: str) -> dict[str, str]:
    """The name that each app of an owner is shown with: its favourite, else its oldest."""
    found: dict[str, str] = {}
    for each in tables.vhosts_of_owner(conn, owner_id):
        if each.is_favourite or each.app_id not in found:
            found[each.app_id] = each.fqdn
    return found


def is_https_forced(conn: sa.Connection, app_id: str) -> bool:
    return tables.is_forced(conn, app_id)


def is_sticky(conn: sa.Connection, app_id: str) -> bool:
    return tables.is_sticky(conn, app_id)


def redirections(conn: sa.Connection, app_id: str) -> list[Redirection]:
    """The app's public TCP ports, by port."""
    return tables.redirections(conn, app_id=app_id)


def hosts_shown(conn: sa.Connection, certificate: Certificate) -> list[str]:
    """The hosts that a certificate may be shown for now: of its owner, or of anybody when it is the operator's."""
    owned = [each.host for each in tables.sites(conn) if certificate.owner_id in (None, each.owner_id)]
    return sorted(host for host in set(owned) if certificate.covers(host))


def default_fqdn(conn: sa.Connection, app_id: str, app_name: str) -> str:
    """A free name below the base domain for an app that is being made: its slug, or that and the start of its id."""
    domain = tables.domain(conn)
    label = slug(app_name) or "app"
    digits = app_id.removeprefix("app_").replace("-", "")
    names = [label, *(f"{label[:30]}-{digits[:length]}" for length in _SUFFIXES)]
    for each in names:
        fqdn = f"{each}.{domain.base}"
        if fqdn in domain.reserved or tables.on_hosts(conn, [fqdn]):
            continue
        try:
            return parse_name(fqdn, domain).fqdn
        except InvalidError:
            continue
    return f"app-{digits[:12]}.{domain.base}"


def app_of_host(conn: sa.Connection, host: str, path: str = "/") -> AppId | None:
    """The app that a request to `host` (with or without port) and `path` is for; None when nobody has the name."""
    name = _normal(host)
    if name is None:
        return None
    wildcard = "*." + name.partition(".")[2]
    found = {each.fqdn: each.app_id for each in tables.on_hosts(conn, [name, wildcard])}
    prefixes = prefixes_of(unquote(path.partition("?")[0]))
    for each in (name, wildcard):
        for fqdn in (*(f"{each}/{prefix}" for prefix in prefixes), each):
            if fqdn in found:
                return found[fqdn]
    return None


def around(conn: sa.Connection, name: Name, domain: Domain) -> list[Vhost]:
    """The names that share requests with `name`: the same host, a wildcard over it, hosts under it."""
    parent = name.host.partition(".")[2]
    is_base = parent == domain.base
    found = tables.on_hosts(conn, {name.host} if is_base else {name.host, f"*.{parent}"})
    if name.is_wildcard:
        found += tables.below(conn, parent)
    return found


def can_be_proven(conn: sa.Connection, owner_id: str, fqdn: str) -> bool:
    """Whether another owner has the name, so that `owner_id` gets it by proving that it is theirs."""
    domain = tables.domain(conn)
    name = parse_name(fqdn, domain)
    is_below = name.host.endswith("." + domain.base)
    return not is_below and any(other.owner_id != owner_id for other in around(conn, name, domain))


def _normal(host: str) -> str | None:
    try:
        return host_name(host.partition(":")[0])
    except InvalidError:
        return None
