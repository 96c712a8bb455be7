"""What all engines' configurations have in common: one reading of the intent, written by each in its words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from havre.base.errors import InvalidError
from havre.network.decide import DRAIN_PREFERENCE, DRAIN_PREPENDS, Posture, Tie
from havre.network.model import Address, Edge, Family, Intent, Link, Upstream, UpstreamKind, family_of

PROBE_TABLE = 4000  # the kernel's table of a neighbour's probes is this and its number
KIND_NUMBERS = {
    UpstreamKind.TRANSIT: 1, UpstreamKind.HISTORICAL: 2, UpstreamKind.PEER: 3, UpstreamKind.IXP: 4,
}  # fmt: skip
# RFC 6890 and 5735, 5180, 6666, 3849, 5737: what no route of the Internet leads to
BOGONS: Mapping[Family, tuple[str, ...]] = {
    4: (
        "0.0.0.0/8+", "10.0.0.0/8+", "100.64.0.0/10+", "127.0.0.0/8+", "169.254.0.0/16+", "172.16.0.0/12+",
        "192.0.0.0/24+", "192.0.2.0/24+", "192.88.99.0/24+", "192.168.0.0/16+", "198.18.0.0/15+", "198.51.100.0/24+",
        "203.0.113.0/24+", "224.0.0.0/3+",
    ),
    6: (
        "::/8+", "100::/64+", "2001:2::/48+", "2001:10::/28+", "2001:db8::/32+", "3fff::/20+", "fc00::/6+", "fe80::/9+",
    ),
}  # fmt: skip
SHORTEST: Mapping[Family, int] = {4: 8, 6: 16}
DEFAULT: Mapping[Family, str] = {4: "0.0.0.0/0", 6: "::/0"}
Lists = Mapping[tuple[str, Family], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Inner:
    """A session inside our own network. session: what it is called; name: the other edge's, or `inside`."""

    name: str
    session: str
    family: Family
    address: Address


def session(upstream: str, family: Family) -> str:
    """What the session with a neighbour is called in the daemon."""
    return f"up_{upstream}_ipv{family}"


def probe_table(intent: Intent, upstream: str) -> int:
    """The kernel's table, and the mark of packets, that lead through `upstream` whatever is preferred."""
    return PROBE_TABLE + [each.name for each in intent.upstreams].index(upstream) + 1


def neighbors(intent: Intent, edge: Edge, posture: Posture) -> list[Upstream]:
    """The upstreams of an edge that we hold sessions with."""
    return [each for each in intent.upstreams_of(edge.name) if posture.ties[each.name].is_up]


def inner(intent: Intent, edge: Edge) -> list[Inner]:
    """The sessions of an edge with our other edges, and with the router inside where that speaks BGP."""
    others = [(each.name, each.loopbacks) for each in intent.edges if each.name != edge.name]
    if edge.inside_speaks_bgp and edge.inside:
        others.append(("inside", edge.inside))
    return [
        Inner(name, f"in_{name}_ipv{family_of(address)}", family_of(address), address)
        for name, addresses in others
        for address in addresses
    ]


def default_way(intent: Intent, edge: Edge, posture: Posture, family: Family) -> Link | None:
    """Where the static default of an edge leads, if it has one."""
    historical = intent.historical
    if not posture.has_default or historical is None or historical.edge != edge.name:
        return None
    return historical.link(family)


def probe_hops(intent: Intent, edge: Edge, family: Family) -> list[tuple[Address, Address]]:
    """The addresses that our other edges probe from, and the way there."""
    others = [(each.probe(family), each.loopback(family)) for each in intent.edges if each.name != edge.name]
    return [(probe, hop) for probe, hop in others if probe and hop]


def probe_ways(intent: Intent, edge: Edge, family: Family) -> Iterator[tuple[Upstream, Link, int]]:
    """Of each neighbour of an edge: where it is, and the kernel's table that leads through it alone."""
    for upstream in intent.upstreams_of(edge.name):
        link = upstream.link(family)
        if link is not None:
            yield upstream, link, probe_table(intent, upstream.name)


def preference(upstream: Upstream, tie: Tie) -> int:
    """How willingly we use what a neighbour sends."""
    return DRAIN_PREFERENCE if tie.is_drained else upstream.preference


def prepends(upstream: Upstream, tie: Tie) -> int:
    """How often our number stands more in what we tell a neighbour."""
    return upstream.prepends + (DRAIN_PREPENDS if tie.is_drained else 0)


def site_number(intent: Intent, edge: Edge) -> int:
    return [each.name for each in intent.sites].index(edge.site) + 1


def learned(intent: Intent, upstream: Upstream) -> list[tuple[int, int, int]]:
    """The large communities of what a neighbour sends: from whom, and of which kind."""
    marks = intent.communities
    return [
        (intent.asn, marks.learned_from, upstream.asn),
        (intent.asn, marks.kind, KIND_NUMBERS[upstream.kind]),
    ]


def listed(upstream: Upstream, family: Family, lists: Lists) -> Sequence[str]:
    """The prefixes that a peer may send. Raises InvalidError when there are none."""
    found = lists.get((upstream.name, family), ())
    if not found:
        source = upstream.filters.as_set if upstream.filters else "its as-set"
        raise InvalidError(
            f"no IPv{family} prefixes of {upstream.name} ({source}) are known: an empty list never becomes a filter",
            upstream=upstream.name,
        )
    return found
