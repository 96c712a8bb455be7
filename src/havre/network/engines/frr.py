"""The configuration of an edge that runs FRR 8.4 or later, as one file for all of its daemons.

The same policy as BIRD's: nothing leaves but our own prefixes, nothing of ours comes in, a route-map for each
neighbour. A session carries its name as its description. Origin validation needs FRR's rpki module (`bgpd -M rpki`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from havre.base.errors import InvalidError
from havre.network.decide import Posture, Tie
from havre.network.engines import facts
from havre.network.engines.facts import BOGONS, DEFAULT, SHORTEST, Lists
from havre.network.model import FAMILIES, LONGEST, Edge, Family, Intent, Upstream, UpstreamKind

WORD = {4: "ip", 6: "ipv6"}
BITS = {4: 32, 6: 128}
# the numbers of RFC 7607, 6793, 5398, 6996 and 7300 as AS path expressions: 0, 23456, 64496-65551, 65552-131071, 4.2 G
BOGON_PATHS = (
    "_(0|23456)_", "_6449[6-9]_", "_64[5-9][0-9][0-9]_", "_65[0-9][0-9][0-9]_", "_6[6-9][0-9][0-9][0-9]_",
    "_[7-9][0-9][0-9][0-9][0-9]_", "_1[0-2][0-9][0-9][0-9][0-9]_", "_130[0-9][0-9][0-9]_", "_1310[0-6][0-9]_",
    "_13107[01]_", "_42[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]_",
)  # fmt: skip


def render(intent: Intent, edge: Edge, posture: Posture, lists: Lists) -> str:
    """The whole file. Raises InvalidError when a peer's list of prefixes is empty or missing."""
    return "\n".join(_lines(intent, edge, posture, lists)) + "\n"


def _lines(intent: Intent, edge: Edge, posture: Posture, lists: Lists) -> Iterator[str]:
    here = facts.neighbors(intent, edge, posture)
    yield f"! {edge.name}, {edge.site}: AS{intent.asn}. Made by Havre from the intent; changes made here are lost."
    yield "frr defaults traditional"
    yield f"hostname {edge.name}"
    yield "service integrated-vtysh-config"
    for family in FAMILIES:
        yield from _statics(intent, edge, posture, family)
    yield "bgp route-map delay-timer 1"
    yield from _rpki(intent)
    yield from _bfd(here)
    yield from _lists(intent, here, lists)
    yield from _bgp(intent, edge, posture, here)
    for upstream in here:
        for family in upstream.families:
            yield from _taken(intent, upstream, posture.ties[upstream.name], family)
            yield from _told(intent, edge, upstream, posture.ties[upstream.name], family)
    for family in FAMILIES:
        yield f"route-map IN_INSIDE_{family} deny 10"
        yield f" match {_address(family)} prefix-list OWN_PARTS{family}"
        yield "exit"
        yield f"route-map IN_INSIDE_{family} permit 20"
        yield "exit"
        yield f"route-map OUT_INSIDE_{family} deny 10"
        yield f" match {_address(family)} prefix-list OWN_PARTS{family}"
        yield "exit"
        yield f"route-map OUT_INSIDE_{family} permit 20"
        yield "exit"
    yield "end"


def _address(family: Family) -> str:
    return "ip address" if family == 4 else "ipv6 address"


def _statics(intent: Intent, edge: Edge, posture: Posture, family: Family) -> Iterator[str]:
    word, inside = WORD[family], edge.next_hop_inside(family)
    for own in intent.own(family):
        yield f"{word} route {own.prefix} {inside if inside else 'blackhole'}"
    if (link := facts.default_way(intent, edge, posture, family)) is not None:
        yield f"{word} route {DEFAULT[family]} {link.neighbor} 250"
    for probe, hop in facts.probe_hops(intent, edge, family):
        yield f"{word} route {probe}/{BITS[family]} {hop}"
    for _, way, number in facts.probe_ways(intent, edge, family):
        yield f"{word} route {DEFAULT[family]} {way.neighbor} table {number}"


def _rpki(intent: Intent) -> Iterator[str]:
    host, _, port = intent.policies.rtr.rpartition(":")
    if host and intent.policies.rov != "off":
        yield "rpki"
        yield f" rpki cache {host.strip('[]')} {port} preference 1"
        yield "exit"


def _bfd(here: Sequence[Upstream]) -> Iterator[str]:
    if any(each.bfd for each in here):
        yield "bfd"
        for each in here:
            if each.bfd is not None:
                yield f" profile {each.name}"
                yield f"  detect-multiplier {each.bfd.multiplier}"
                yield f"  transmit-interval {each.bfd.interval_ms}"
                yield f"  receive-interval {each.bfd.interval_ms}"
                yield " exit"
        yield "exit"


def _lists(intent: Intent, here: Sequence[Upstream], lists: Lists) -> Iterator[str]:
    for family in FAMILIES:
        word, bits = WORD[family], BITS[family]
        for number, own in enumerate(intent.own(family), 1):
            longer = f" le {bits}" if own.prefix.length < bits else ""
            yield f"{word} prefix-list OWN{family} seq {number * 5} permit {own.prefix}"
            yield f"{word} prefix-list OWN_PARTS{family} seq {number * 5} permit {own.prefix}{longer}"
        yield f"{word} prefix-list LENGTHS{family} seq 5 permit {DEFAULT[family]}"
        span = f"ge {SHORTEST[family]} le {LONGEST[family]}"
        yield f"{word} prefix-list LENGTHS{family} seq 10 permit {DEFAULT[family]} {span}"
        if intent.policies.bogons:
            for number, bogon in enumerate(BOGONS[family], 1):
                yield f"{word} prefix-list BOGONS{family} seq {number * 5} permit {bogon.rstrip('+')} le {bits}"
    if intent.policies.bogons:
        for path in BOGON_PATHS:
            yield f"bgp as-path access-list BOGONS permit {path}"
    yield f"bgp large-community-list expanded OURS permit ^{intent.asn}:.*"
    for upstream in here:
        if not upstream.kind.carries_everything:
            for family in upstream.families:
                for number, text in enumerate(facts.listed(upstream, family, lists), 1):
                    name = f"FROM_{upstream.name.upper()}_{family}"
                    yield f"{WORD[family]} prefix-list {name} seq {number} permit {_entry(text, BITS[family])}"


def _entry(text: str, bits: int) -> str:
    """BIRD's form of a prefix pattern in FRR's: `P/24+` and `P/16{16,24}`."""
    if text.endswith("+"):
        return f"{text[:-1]} le {bits}" if int(text[:-1].rpartition("/")[2]) < bits else text[:-1]
    prefix, brace, span = text.rstrip("}").partition("{")
    if not brace:
        return prefix
    low, high = (int(each) for each in span.split(","))
    length = int(prefix.rpartition("/")[2])
    longer = f" ge {low}" if low > length else ""
    return f"{prefix}{longer} le {high}" if high > length else prefix


def _bgp(intent: Intent, edge: Edge, posture: Posture, here: Sequence[Upstream]) -> Iterator[str]:
    yield f"router bgp {intent.asn}"
    yield f" bgp router-id {edge.router_id}"
    yield " bgp log-neighbor-changes"
    yield " no bgp default ipv4-unicast"
    yield " bgp ebgp-requires-policy"
    inner = facts.inner(intent, edge)
    for each in inner:
        yield f" neighbor {each.address} remote-as {intent.asn}"
        yield f" neighbor {each.address} description {each.session}"
        yield f" neighbor {each.address} update-source {edge.loopback(each.family)}"
        yield f" neighbor {each.address} timers connect 5"
    for upstream in here:
        for link in upstream.links:
            yield from _neighbor(upstream, str(link.neighbor), link.family)
    for family in FAMILIES:
        yield f" address-family ipv{family} unicast"
        for own in intent.own(family):
            yield f"  network {own.prefix}"
        if facts.default_way(intent, edge, posture, family) is not None:
            yield f"  network {DEFAULT[family]}"
        for each in inner:
            if each.family == family:
                yield f"  neighbor {each.address} activate"
                yield f"  neighbor {each.address} next-hop-self"
                yield f"  neighbor {each.address} route-map IN_INSIDE_{family} in"
                yield f"  neighbor {each.address} route-map OUT_INSIDE_{family} out"
        for upstream in here:
            way = upstream.link(family)
            if way is not None:
                yield f"  neighbor {way.neighbor} activate"
                yield f"  neighbor {way.neighbor} soft-reconfiguration inbound"
                yield f"  neighbor {way.neighbor} maximum-prefix {upstream.limits.imported(family)}"
                yield f"  neighbor {way.neighbor} route-map in_{upstream.name}_ipv{family} in"
                yield f"  neighbor {way.neighbor} route-map out_{upstream.name}_ipv{family} out"
        yield " exit-address-family"
    yield "exit"


def _neighbor(upstream: Upstream, address: str, family: Family) -> Iterator[str]:
    if upstream.password_file:
        raise InvalidError(
            f"{upstream.name}: a password's file is BIRD's alone; FRR has no include", name=upstream.name
        )
    timers = upstream.timers
    yield f" neighbor {address} remote-as {upstream.asn}"
    yield f" neighbor {address} description {facts.session(upstream.name, family)}"
    yield f" neighbor {address} timers {max(1, timers.hold_s // 3)} {timers.hold_s}"
    yield f" neighbor {address} timers connect {timers.connect_retry_s}"
    yield f" neighbor {address} advertisement-interval 0"
    if upstream.kind is not UpstreamKind.IXP:
        yield f" neighbor {address} enforce-first-as"
    if timers.graceful_restart_s:
        yield f" neighbor {address} graceful-restart"
    if upstream.bfd is not None:
        yield f" neighbor {address} bfd"
        yield f" neighbor {address} bfd profile {upstream.name}"


def _taken(intent: Intent, upstream: Upstream, tie: Tie, family: Family) -> Iterator[str]:
    name, address = f"in_{upstream.name}_ipv{family}", _address(family)
    refused = [f"match {address} prefix-list OWN_PARTS{family}"]
    if intent.policies.bogons:
        refused += [f"match {address} prefix-list BOGONS{family}", "match as-path BOGONS"]
    if intent.policies.rov == "reject" and intent.policies.rtr:
        refused.append("match rpki invalid")
    for number, match in enumerate(refused, 1):
        yield f"route-map {name} deny {number * 10}"
        yield f" {match}"
        yield "exit"
    listed = f"FROM_{upstream.name.upper()}_{family}"
    yield f"route-map {name} permit 100"
    yield f" match {address} prefix-list {f'LENGTHS{family}' if upstream.kind.carries_everything else listed}"
    yield f" set local-preference {facts.preference(upstream, tie)}"
    yield " set large-comm-list OURS delete"
    marks = " ".join(":".join(map(str, each)) for each in facts.learned(intent, upstream))
    yield f" set large-community {marks} additive"
    yield "exit"


def _told(intent: Intent, edge: Edge, upstream: Upstream, tie: Tie, family: Family) -> Iterator[str]:
    name, site = f"out_{upstream.name}_ipv{family}", facts.site_number(intent, edge)
    yield f"route-map {name} {'permit' if tie.announces else 'deny'} 10"
    yield f" match {_address(family)} prefix-list OWN{family}"
    if tie.announces:
        if prepends := facts.prepends(upstream, tie):
            yield f" set as-path prepend {' '.join([str(intent.asn)] * prepends)}"
        yield f" set large-community {intent.asn}:{intent.communities.own}:{site} additive"
    yield "exit"
    yield f"route-map {name} deny 100"
    yield "exit"
