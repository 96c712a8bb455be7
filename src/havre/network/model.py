"""The nouns of the network's intent: who we are, what we announce, where we stand, and to whom we speak.

The tree is what people review (`intent.py` reads it from YAML); everything else of this room is derived from it. All of
it is frozen, and every part holds both families: a session without IPv6 has to say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal, NewType

from havre.base.errors import InvalidError

Asn = NewType("Asn", int)
Family = Literal[4, 6]
FAMILIES: tuple[Family, Family] = (4, 6)
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
LONGEST: Mapping[Family, int] = {4: 24, 6: 48}
"""What the Internet takes: nothing longer than this is announced or accepted."""
TRANS_ASN = 23456  # RFC 6793: stands for a number that a neighbour cannot hold
SIZE_LIMIT = 2**32 - 1


def parse_asn(text: str | int) -> Asn:
    """`64510` or `AS64510`. Raises InvalidError for what no AS can have: 0, 23456, 2^32-1 (RFC 7607, 6793, 7300)."""
    digits = str(text).strip().upper().removeprefix("AS")
    if not digits.isdecimal() or not 0 < int(digits) < SIZE_LIMIT or int(digits) == TRANS_ASN:
        raise InvalidError(f"{str(text)!r} is not the number of an autonomous system, such as 64510 or AS64510")
    return Asn(int(digits))


def family_of(value: Address | Network) -> Family:
    return 4 if value.version == 4 else 6


def parse_address(text: str) -> Address:
    """Raises InvalidError."""
    try:
        return ip_address(str(text).strip())
    except ValueError as cause:
        raise InvalidError(f"{str(text)!r} is not an IP address") from cause


@dataclass(frozen=True, slots=True, order=True)
class Prefix:
    """A block of addresses, in the normal form: no bit after its length."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Prefix:
        """Raises InvalidError, which names the block that was probably meant when bits follow the length."""
        wanted = str(text).strip()
        try:
            return cls(str(ip_network(wanted)))
        except ValueError as cause:
            try:
                near = f"; do you mean {ip_network(wanted, strict=False)}?"
            except ValueError:
                near = ", such as 198.51.100.0/24 or 2001:db8:100::/48"
            raise InvalidError(f"{wanted!r} is not a prefix{near}") from cause

    @property
    def network(self) -> Network:
        return ip_network(self.text)

    @property
    def family(self) -> Family:
        return 6 if ":" in self.text else 4

    @property
    def length(self) -> int:
        return int(self.text.rpartition("/")[2])

    def covers(self, other: Prefix) -> bool:
        """Whether `other` is this prefix or a part of it."""
        mine, theirs = self.network, other.network
        return self.family == other.family and mine.supernet_of(theirs)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class OwnPrefix:
    """One of ours. old_origin: the AS that announced it until now; None when it has always been ours.
    `max_length`: of its ROA; the announced length when it is not said, and never looser without a reason."""

    prefix: Prefix
    old_origin: Asn | None = None
    max_length: int = 0

    @property
    def roa_length(self) -> int:
        return self.max_length or self.prefix.length


class UpstreamKind(StrEnum):
    """transit: carries us to everywhere. historical: announced our prefixes until now, and may be a transit too.
    peer: exchanges its customers' routes with ours. ixp: a route server of an exchange, many peers in one session."""

    TRANSIT = "transit"
    HISTORICAL = "historical"
    PEER = "peer"
    IXP = "ixp"

    @property
    def carries_everything(self) -> bool:
        """Whether the whole view, or a default route, may come from there."""
        return self in (UpstreamKind.TRANSIT, UpstreamKind.HISTORICAL)


@dataclass(frozen=True, slots=True)
class Link:
    """One session's addresses; both of one family."""

    local: Address
    neighbor: Address

    @property
    def family(self) -> Family:
        return family_of(self.neighbor)


@dataclass(frozen=True, slots=True)
class Bfd:
    """Asynchronous BFD: a link counts as cut after `multiplier` times `interval_ms` without a word."""

    interval_ms: int = 100
    multiplier: int = 3


@dataclass(frozen=True, slots=True)
class Timers:
    """Of a session, in seconds. graceful_restart_s: 0 is off; with BFD it is off or short, never the default of 120."""

    hold_s: int = 30
    connect_retry_s: int = 5
    graceful_restart_s: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """How many routes a neighbour may send us before the session is taken down, and how many it lets us send (0: not
    known). More than these is an accident, on their side or on ours."""

    import_ipv4: int = 1_300_000
    import_ipv6: int = 300_000
    export_ipv4: int = 0
    export_ipv6: int = 0

    def imported(self, family: Family) -> int:
        return self.import_ipv4 if family == 4 else self.import_ipv6

    def exported(self, family: Family) -> int:
        return self.export_ipv4 if family == 4 else self.export_ipv6


@dataclass(frozen=True, slots=True)
class FilterSource:
    """Which prefixes a peer may send: what its as-set leads to in the IRR. The lists come from `registries`."""

    as_set: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Upstream:
    """A neighbour outside our AS.

    preference: its routes' local preference; prepends: how often our number stands more in what we tell it.
    managed_socket, managed_file: where the historical provider lets us configure it, its BIRD's control socket and the
    file that says what it does with our prefixes; empty: it is asked with a document, and what it did is observed.
    wait_h: how long its filters take to follow the IRR.
    """

    name: str
    kind: UpstreamKind
    asn: Asn
    edge: str
    links: tuple[Link, ...]
    preference: int = 100
    prepends: int = 0
    bfd: Bfd | None = None
    timers: Timers = field(default_factory=Timers)
    limits: Limits = field(default_factory=Limits)
    filters: FilterSource | None = None
    password_file: str = ""
    managed_socket: str = ""
    managed_file: str = ""
    irr_sources: tuple[str, ...] = ("RIPE",)
    wait_h: float = 24.0

    def link(self, family: Family) -> Link | None:
        return next((each for each in self.links if each.family == family), None)

    @property
    def families(self) -> tuple[Family, ...]:
        return tuple(each for each in FAMILIES if self.link(each))


@dataclass(frozen=True, slots=True)
class Edge:
    """One of our border routers. loopbacks: its addresses in our own network, one for each family, which the other
    edges speak iBGP to. inside: the router behind it that has our prefixes. probes: addresses of our prefixes that it
    sends probes from. namespace: of this machine, that it runs in; empty: the machine's own.
    """

    name: str
    site: str
    router_id: IPv4Address
    loopbacks: tuple[Address, ...]
    probes: tuple[Address, ...] = ()
    engine: Literal["bird", "frr"] = "bird"
    socket: str = "/run/bird/bird.ctl"
    config: str = "/etc/bird/bird.conf"
    inside: tuple[Address, ...] = ()
    inside_speaks_bgp: bool = False
    namespace: str = ""

    def loopback(self, family: Family) -> Address | None:
        return next((each for each in self.loopbacks if family_of(each) == family), None)

    def probe(self, family: Family) -> Address | None:
        return next((each for each in self.probes if family_of(each) == family), None)

    def next_hop_inside(self, family: Family) -> Address | None:
        """Where our own prefixes lie, seen from this edge."""
        return next((each for each in self.inside if family_of(each) == family), None)


@dataclass(frozen=True, slots=True)
class Site:
    name: str
    edges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Communities:
    """Large communities (RFC 8092) that we mark routes with: the second number says what, the third which."""

    learned_from: int = 1  # <our AS>:1:<neighbour's AS>
    kind: int = 2  # <our AS>:2:<1 transit, 2 historical, 3 peer, 4 ixp>
    own: int = 3  # <our AS>:3:<site's number>: a prefix of ours


@dataclass(frozen=True, slots=True)
class Policies:
    """rov: what is done with a route whose origin a ROA forbids. rtr: `host:port` of the validated cache.
    first_as: a neighbour's routes begin with its own number. bogons: reserved prefixes and numbers are refused."""

    rov: Literal["reject", "mark", "off"] = "reject"
    rtr: str = ""
    first_as: bool = True
    bogons: bool = True


@dataclass(frozen=True, slots=True)
class Registry:
    """Under whose names the registries hold us. servers: (source, address), `irrd://host:port` or `whois://host:port`,
    where each is asked. vrps: a validator's JSON; empty: the cache of `policies.rtr` is asked."""

    as_set: str = ""
    maintainer: str = ""
    source: str = "RIPE"
    contact: str = ""
    servers: tuple[tuple[str, str], ...] = ()
    vrps: str = ""


@dataclass(frozen=True, slots=True)
class LookingGlass:
    """A router of somebody else that tells us what it sees. socket: its BIRD's; url: where it is asked over HTTP, with
    `{prefix}` in it, every `every_s` at most; one of both. at: the name of the upstream whose router it is; empty: far
    away, where the Internet is seen from."""

    name: str
    socket: str = ""
    at: str = ""
    url: str = ""
    every_s: float = 10.0


@dataclass(frozen=True, slots=True)
class ProbeEnd:
    """One end of the streams of packets, where a prober runs while a migration is on its way. addresses: it sends from,
    one of each family; namespace: of this machine, that it runs in; empty: the machine's own."""

    addresses: tuple[Address, ...]
    namespace: str = ""

    def address(self, family: Family) -> Address:
        return next(each for each in self.addresses if family_of(each) == family)


@dataclass(frozen=True, slots=True)
class Observers:
    """Who tells how we are seen. inside, outside: the ends of the streams of packets, both or none, whose probers we
    run; streams: a folder in which probers of somebody else count packets. targets: far addresses that answer bound
    probes, one for each family. poll_ms: how often each is asked while something changes.
    soak_s, samples: how long, and how often, all must have been well before a stage counts as reached.
    wait_s: how long a neighbour that we configure is waited for."""

    looking_glasses: tuple[LookingGlass, ...] = ()
    inside: ProbeEnd | None = None
    outside: ProbeEnd | None = None
    streams: str = ""
    targets: tuple[Address, ...] = ()
    poll_ms: int = 1000
    soak_s: float = 300.0
    samples: int = 60
    wait_s: float = 120.0

    @property
    def far(self) -> tuple[LookingGlass, ...]:
        return tuple(each for each in self.looking_glasses if not each.at)

    def at(self, upstream: str) -> LookingGlass | None:
        return next((each for each in self.looking_glasses if each.at == upstream), None)


@dataclass(frozen=True, slots=True)
class Intent:
    """The whole tree. `upstreams` keep the order of the file: it is the order in which transits join."""

    asn: Asn
    prefixes: tuple[OwnPrefix, ...]
    sites: tuple[Site, ...]
    edges: tuple[Edge, ...]
    upstreams: tuple[Upstream, ...]
    communities: Communities = field(default_factory=Communities)
    policies: Policies = field(default_factory=Policies)
    registry: Registry = field(default_factory=Registry)
    observers: Observers = field(default_factory=Observers)

    def edge(self, name: str) -> Edge:
        return next(each for each in self.edges if each.name == name)

    def upstream(self, name: str) -> Upstream:
        return next(each for each in self.upstreams if each.name == name)

    def upstreams_of(self, edge: str) -> tuple[Upstream, ...]:
        return tuple(each for each in self.upstreams if each.edge == edge)

    def of_kind(self, kind: UpstreamKind) -> tuple[Upstream, ...]:
        return tuple(each for each in self.upstreams if each.kind is kind)

    def own(self, family: Family) -> tuple[OwnPrefix, ...]:
        return tuple(each for each in self.prefixes if each.prefix.family == family)

    @property
    def historical(self) -> Upstream | None:
        return next(iter(self.of_kind(UpstreamKind.HISTORICAL)), None)
