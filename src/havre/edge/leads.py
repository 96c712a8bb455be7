"""Where the DNS of a host leads, whether that is here, and which records it needs instead. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Lead = Literal["here", "partly", "elsewhere", "nowhere", "unanswered", "local", "unknown"]
"""`partly`: some of its addresses are ours; `local`: every browser resolves it by itself (RFC 6761 section 6.3);
`unknown`: it leads somewhere, and what this installation's addresses are is not known."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the resolver said of a host. nowhere: there is no address; unanswered: nobody said so in time."""

    state: Literal["found", "nowhere", "unanswered"]
    addresses: tuple[str, ...] = ()
    cname: str = ""


@dataclass(frozen=True, slots=True)
class Home:
    """Where names have to lead. cname: what a name below a domain may be an alias of; empty: of nothing that the world
    knows."""

    cname: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    name: str
    type: Literal["CNAME", "A", "AAAA"]
    value: str


@dataclass(frozen=True, slots=True)
class Led:
    """addresses: those that may be shown; hidden: how many may not. records: what to create; none: nothing to do, or
    nothing that would help."""

    lead: Lead
    addresses: tuple[str, ...] = ()
    hidden: int = 0
    cname: str = ""
    records: tuple[Record, ...] = ()


def is_local(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


def asked_for(host: str) -> str:
    """The name to look up: some name below a wildcard, for what a resolver says of `*` itself is another record."""
    return "havre-check." + host.removeprefix("*.") if host.startswith("*.") else host


def decide_lead(host: str, found: Found, home: Home) -> Led:
    """Where `host` leads. An address in a private network is shown only where the installation itself has such ones:
    a name may be anybody's, and nobody learns of the operator's network from what its resolver knows."""
    if is_local(host):
        return Led("local")
    ours = set(home.addresses)
    is_private = any(not _is_public(each) for each in ours)
    shown = tuple(each for each in found.addresses if each in ours or is_private or _is_public(each))
    seen = {"addresses": shown, "hidden": len(found.addresses) - len(shown), "cname": found.cname}
    lead = _lead(found, home, ours)
    return Led(lead, **seen, records=() if lead in ("here", "unanswered") else _records(host, home))  # type: ignore[arg-type]


def _lead(found: Found, home: Home, ours: set[str]) -> Lead:
    if found.state != "found":
        return found.state
    if home.cname and found.cname == home.cname:
        return "here"
    if not ours:
        return "unknown"
    hits = [each in ours for each in found.addresses]
    return "here" if all(hits) else "partly" if any(hits) else "elsewhere"


def _records(host: str, home: Home) -> tuple[Record, ...]:
    """An alias for a name below a domain; addresses for the domain itself, which may have none (RFC 1034, 3.6.2)."""
    is_below = host.count(".") >= 2
    if is_below and home.cname:
        return (Record(host, "CNAME", home.cname + "."),)
    return tuple(_addresses(host, home.addresses))


def _addresses(host: str, addresses: Iterable[str]) -> Iterable[Record]:
    for each in addresses:
        if not ipaddress.ip_address(each).is_loopback:
            yield Record(host, "AAAA" if ":" in each else "A", each)


def _is_public(address: str) -> bool:
    return ipaddress.ip_address(address).is_global
