"""The configuration of an edge that runs BIRD 2.

Nothing leaves but our own prefixes, which only the static protocols `own_…` make; nothing of ours comes in from
outside; each neighbour has a filter of its own, so that a change at one is a change at one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from havre.base.errors import InvalidError
from havre.network.decide import DRAIN_PREFERENCE, DRAIN_PREPENDS, Posture, Tie
from havre.network.model import FAMILIES, LONGEST, Edge, Family, Intent, Upstream, UpstreamKind

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
BOGON_ASNS = "0, 23456, 64496..131071, 4200000000..4294967295"  # RFC 7607, 6793, 5398, 6996, 7300
SHORTEST: Mapping[Family, int] = {4: 8, 6: 16}
DEFAULT: Mapping[Family, str] = {4: "0.0.0.0/0", 6: "::/0"}
Lists = Mapping[tuple[str, Family], Sequence[str]]


def render(intent: Intent, edge: Edge, posture: Posture, lists: Lists) -> str:
    """The whole file. Raises InvalidError when a peer's list of prefixes is empty or missing."""
    return "\n".join(_lines(intent, edge, posture, lists)) + "\n"


def session(upstream: str, family: Family) -> str:
    """What the session with a neighbour is called in the daemon."""
    return f"up_{upstream}_ipv{family}"


def probe_table(intent: Intent, upstream: str) -> int:
    """The kernel's table, and the mark of packets, that lead through `upstream` whatever is preferred."""
    return PROBE_TABLE + [each.name for each in intent.upstreams].index(upstream) + 1


def _lines(intent: Intent, edge: Edge, posture: Posture, lists: Lists) -> Iterator[str]:
    here = [each for each in intent.upstreams_of(edge.name) if posture.ties[each.name].is_up]
    yield f"# {edge.name}, {edge.site}: AS{intent.asn}. Made by Havre from the intent; changes made here are lost."
    yield f"router id {edge.router_id};"
    yield "protocol device { scan time 1; }"
    yield "protocol direct { ipv4; ipv6; }"
    yield from _definitions(intent)
    yield from _rov(intent)
    for family in FAMILIES:
        yield from _statics(intent, edge, posture, family)
        yield from _kernel(intent, edge, family)
        yield from _probes(intent, edge, family)
    if any(each.bfd for each in here):
        yield "protocol bfd { }"
    yield from _inside(intent, edge)
    for upstream in here:
        for family in upstream.families:
            yield ""
            yield from _import_filter(intent, upstream, posture.ties[upstream.name], family, lists)
            yield from _export_filter(intent, edge, upstream, posture.ties[upstream.name], family)
            yield from _session(intent, upstream, family)


def _definitions(intent: Intent) -> Iterator[str]:
    for family in FAMILIES:
        own = [str(each.prefix) for each in intent.own(family)]
        yield f"define OWN_IPV{family} = [ {', '.join(own)} ];"
        yield f"define OWN_PARTS_IPV{family} = [ {', '.join(each + '+' for each in own)} ];"
        if intent.policies.bogons:
            yield f"define BOGONS_IPV{family} = [ {', '.join(BOGONS[family])} ];"


def _rov(intent: Intent) -> Iterator[str]:
    if intent.policies.rov == "off":
        return
    for family in FAMILIES:
        yield f"roa{family} table roa_ipv{family};"
    host, _, port = intent.policies.rtr.rpartition(":")
    if host:
        tables = " ".join(f"roa{family} {{ table roa_ipv{family}; }};" for family in FAMILIES)
        quoted = host.strip("[]")
        timers = "retry keep 5; refresh keep 60; expire 7200;"
        yield f"protocol rpki rtr {{ {tables} remote {quoted} port {port}; {timers} }}"


def _statics(intent: Intent, edge: Edge, posture: Posture, family: Family) -> Iterator[str]:
    inside = edge.next_hop_inside(family)
    where = f"via {inside}" if inside else "unreachable"
    routes = " ".join(f"route {each.prefix} {where};" for each in intent.own(family))
    yield f"protocol static own_ipv{family} {{ ipv{family}; {routes} }}"
    historical = intent.historical
    link = historical.link(family) if historical is not None else None
    if posture.has_default and historical is not None and historical.edge == edge.name and link is not None:
        route = f"route {DEFAULT[family]} via {link.neighbor};"
        yield f"protocol static default_ipv{family} {{ ipv{family} {{ preference 50; }}; {route} }}"
    others = [(each.probe(family), each.loopback(family)) for each in intent.edges if each.name != edge.name]
    length = 32 if family == 4 else 128
    routes = " ".join(f"route {probe}/{length} via {hop};" for probe, hop in others if probe and hop)
    if routes:
        yield f"protocol static probes_ipv{family} {{ ipv{family}; {routes} }}"


def _kernel(intent: Intent, edge: Edge, family: Family) -> Iterator[str]:
    own = f' || proto = "own_ipv{family}"' if edge.next_hop_inside(family) else ""
    told = f'source = RTS_BGP || proto = "default_ipv{family}" || proto = "probes_ipv{family}"{own}'
    channel = f"ipv{family} {{ import none; export where {told}; }};"
    # without it a daemon that starts again flushes what forwards, whatever its neighbours keep
    is_graceful = any(each.timers.graceful_restart_s for each in intent.upstreams_of(edge.name))
    kept = "persist; graceful restart;" if is_graceful else "persist;"
    yield f"protocol kernel kernel_ipv{family} {{ {kept} scan time 3600; {channel} }}"


def _probes(intent: Intent, edge: Edge, family: Family) -> Iterator[str]:
    """For each neighbour a table of the kernel that leads through it alone: probes are bound to it by their mark."""
    for upstream in intent.upstreams_of(edge.name):
        link = upstream.link(family)
        if link is None:
            continue
        name, number = f"probe_{upstream.name}_ipv{family}", probe_table(intent, upstream.name)
        channel = f"ipv{family} {{ table {name}; }};"
        yield f"ipv{family} table {name};"
        yield f"protocol static to_{name} {{ {channel} route {DEFAULT[family]} via {link.neighbor}; }}"
        export = f"ipv{family} {{ table {name}; import none; export all; }};"
        yield f"protocol kernel kernel_{name} {{ persist; kernel table {number}; scan time 3600; {export} }}"


def _inside(intent: Intent, edge: Edge) -> Iterator[str]:
    neighbors = [(each.name, each.loopbacks) for each in intent.edges if each.name != edge.name]
    if edge.inside_speaks_bgp and edge.inside:
        neighbors.append(("inside", edge.inside))
    for name, addresses in neighbors:
        for address in addresses:
            family: Family = 4 if address.version == 4 else 6
            told = f'source = RTS_BGP || proto = "default_ipv{family}"'
            taken = "none" if name == "inside" else f"where !(net ~ OWN_PARTS_IPV{family})"
            yield f"protocol bgp in_{name}_ipv{family} {{"
            yield f"  local {edge.loopback(family)} as {intent.asn};"
            yield f"  neighbor {address} as {intent.asn};"
            yield "  connect delay time 1; connect retry time 5; error wait time 1, 30;"
            yield "  graceful restart off;"
            yield f"  ipv{family} {{"
            yield "    next hop self;"
            yield f"    import {taken};"
            yield f"    export where {told};"
            yield "  };"
            yield "}"


def _import_filter(intent: Intent, upstream: Upstream, tie: Tie, family: Family, lists: Lists) -> Iterator[str]:
    net, asn, own = f"ipv{family}", upstream.asn, intent.communities
    if not upstream.kind.carries_everything:
        # one line for each, so that a difference is read
        listed = ",\n".join(_listed(upstream, family, lists))
        yield f"define FROM_{upstream.name.upper()}_IPV{family} = [\n{listed}\n];"
    yield f"filter in_{upstream.name}_{net} {{"
    yield f"  if net ~ OWN_PARTS_IPV{family} then reject;"
    if upstream.kind.carries_everything:
        yield f"  if net.len > {LONGEST[family]} || (net.len < {SHORTEST[family]} && net.len > 0) then reject;"
    else:
        yield f"  if net.len > {LONGEST[family]} || net.len < {SHORTEST[family]} then reject;"
        yield f"  if !(net ~ FROM_{upstream.name.upper()}_IPV{family}) then reject;"
    if intent.policies.first_as and upstream.kind is not UpstreamKind.IXP:
        yield f"  if bgp_path.first != {asn} then reject;"
    if intent.policies.bogons:
        yield f"  if net ~ BOGONS_IPV{family} || bgp_path ~ [ {BOGON_ASNS} ] then reject;"
    yield f"  bgp_large_community.delete([ ({intent.asn}, *, *) ]);"
    if intent.policies.rov == "reject":
        yield f"  if roa_check(roa_{net}, net, bgp_path.last) = ROA_INVALID then reject;"
    elif intent.policies.rov == "mark":
        marked = f"bgp_large_community.add(({intent.asn}, 4, 1))"
        yield f"  if roa_check(roa_{net}, net, bgp_path.last) = ROA_INVALID then {marked};"
    yield f"  bgp_large_community.add(({intent.asn}, {own.learned_from}, {asn}));"
    yield f"  bgp_large_community.add(({intent.asn}, {own.kind}, {KIND_NUMBERS[upstream.kind]}));"
    yield f"  bgp_local_pref = {DRAIN_PREFERENCE if tie.is_drained else upstream.preference};"
    yield "  accept;"
    yield "}"


def _listed(upstream: Upstream, family: Family, lists: Lists) -> Sequence[str]:
    found = lists.get((upstream.name, family), ())
    if not found:
        source = upstream.filters.as_set if upstream.filters else "its as-set"
        raise InvalidError(
            f"no IPv{family} prefixes of {upstream.name} ({source}) are known: an empty list never becomes a filter",
            upstream=upstream.name,
        )
    return found


def _export_filter(intent: Intent, edge: Edge, upstream: Upstream, tie: Tie, family: Family) -> Iterator[str]:
    site = [each.name for each in intent.sites].index(edge.site) + 1
    yield f"filter out_{upstream.name}_ipv{family} {{"
    if tie.announces:
        yield f'  if proto = "own_ipv{family}" && net ~ OWN_IPV{family} then {{'
        yield f"    bgp_large_community.add(({intent.asn}, {intent.communities.own}, {site}));"
        for _ in range(upstream.prepends + (DRAIN_PREPENDS if tie.is_drained else 0)):
            yield f"    bgp_path.prepend({intent.asn});"
        yield "    accept;"
        yield "  }"
    yield "  reject;"
    yield "}"


def _session(intent: Intent, upstream: Upstream, family: Family) -> Iterator[str]:
    link = upstream.link(family)
    assert link is not None
    timers, name = upstream.timers, f"{upstream.name}_ipv{family}"
    yield f"protocol bgp {session(upstream.name, family)} {{"
    yield f'  description "{upstream.kind.value} {upstream.name} AS{upstream.asn}";'
    yield f"  local {link.local} as {intent.asn};"
    yield f"  neighbor {link.neighbor} as {upstream.asn};"
    yield f"  hold time {timers.hold_s}; connect delay time 1; connect retry time {timers.connect_retry_s};"
    yield "  error wait time 1, 30; error forget time 60;"
    if upstream.bfd is not None:
        bfd, graceful = upstream.bfd, "; graceful" if timers.graceful_restart_s else ""
        intervals = f"min rx interval {bfd.interval_ms} ms; min tx interval {bfd.interval_ms} ms"
        yield f"  bfd {{ {intervals}; multiplier {bfd.multiplier}{graceful}; }};"
    if timers.graceful_restart_s:
        yield f"  graceful restart on; graceful restart time {timers.graceful_restart_s};"
    else:
        yield "  graceful restart off;"
    if upstream.password_file:
        yield f'  include "{upstream.password_file}";'
    yield f"  ipv{family} {{"
    yield f"    import filter in_{name};"
    yield f"    export filter out_{name};"
    yield f"    import limit {upstream.limits.imported(family)} action block;"
    yield "    import keep filtered on;"
    yield "  };"
    yield "}"
