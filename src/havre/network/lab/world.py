"""The world around our edges: who is there, how they are linked, and what their daemons are told. Pure.

Our own edges come from the intent; the historical provider, the transits, an Internet router, a customer and a remote
client are made to fit it. What a scenario changes about them is `Knobs`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from havre.network.lab import frr, gobgp
from havre.network.model import FAMILIES, Family, Intent, Upstream, family_of

INTERNET_ASN = 64496
REMOTE = {4: "203.0.113.10", 6: "2001:db8:f::10"}
REMOTE_GATEWAY = {4: "203.0.113.1", 6: "2001:db8:f::1"}
REMOTE_NET = {4: "203.0.113.0/24", 6: "2001:db8:f::/48"}
REMOTE_LENGTH = {4: 24, 6: 64}
BIG = {4: 32, 6: 128}
LACKING = {
    "frr": "FRR is not installed (apt install frr)",
    "gobgp": "GoBGP and FRR are not both installed (apt install gobgpd frr)",
}


@dataclass(frozen=True, slots=True)
class Knobs:
    """What is wrong with the world. Each name says what is so when it is not the default."""

    far_filter_has_new_origin: bool = True  # the Internet router's list, made from the IRR
    far_filter_has_new_origin_by: tuple[str, ...] = ()  # the neighbours through which it has it; empty: all
    hp_filter_has_new_origin: bool = True  # the historical provider's list for its customer
    far_roa_has_new_origin: bool = True  # what the Internet router's validated cache says
    irr_has_new_origin: bool = True  # route objects
    roa_has_new_origin: bool = True  # what our validated cache says
    anti_spoof_lacks_us: tuple[str, ...] = ()  # transits that drop what comes from our prefixes
    hp_is_managed: bool = True  # we configure it, or a person there does what we ask for
    hp_person_s: float = 0.3  # how long that person takes
    frr: tuple[str, ...] = ("t2",)  # who runs FRR where it is installed; the others run BIRD
    gobgp: tuple[str, ...] = ("t3",)  # who runs GoBGP where it and FRR are installed
    extra_routes: int = 0  # that each transit sends beyond the remote client's
    soak_s: float = 1.0  # of every stage
    has_bfd: bool = True  # all sessions with upstreams are watched
    forgets_bfd: tuple[str, ...] = ()  # upstreams that did not configure theirs
    hold_s: int = 0  # of every session; 0: what the intent says
    import_limit: int = 0  # ours on transits; 0: what the intent says
    graceful_s: int = 0  # graceful restart of every session with upstreams, on both sides; 0: off
    kernel_is_graceful: bool = True  # with graceful restart: our kernel protocol keeps what is there until BGP is back
    bfd_is_graceful: bool = True  # with graceful restart: BFD that goes down begins one, on both sides


@dataclass(frozen=True, slots=True)
class Wire:
    """A veth pair. `bridge`: through a switch of this name, so that it can be cut silently."""

    a: tuple[str, str]
    b: tuple[str, str]
    bridge: str = ""


@dataclass
class World:
    """nodes: namespaces; wires; addresses: (node, interface) -> with their lengths; configs: of each node's BIRD; frr,
    gobgp: of the nodes that run these instead, by daemon; remarks: what is not as it was wanted, in words."""

    nodes: list[str] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    addresses: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    configs: dict[str, str] = field(default_factory=dict)
    frr: dict[str, dict[str, str]] = field(default_factory=dict)
    gobgp: dict[str, dict[str, str]] = field(default_factory=dict)
    routes: dict[str, list[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def customer(intent: Intent, family: Family) -> str:
    """The address of the customer that is probed: the tenth of our first prefix."""
    return str(intent.own(family)[0].prefix.network.network_address + (10 if family == 4 else 16))


def world(intent: Intent, knobs: Knobs, folder: str, *, installed: Collection[str] = ("frr", "gobgp")) -> World:
    """Everything but the edges' daemons. folder: where the parts that change later are included from; installed: what
    there is besides BIRD, which stands in for what there is not."""
    made = World(nodes=[each.name for each in intent.edges])
    made.nodes += ["sw", "cust", "inet", "rem", *(each.name for each in intent.upstreams)]
    inside = {family_of(each): each for each in intent.edges[0].inside}
    for edge in intent.edges:
        made.wires.append(Wire((edge.name, "core"), ("sw", f"c_{edge.name}"), "core"))
        made.addresses[edge.name, "core"] = [f"{each}/{24 if each.version == 4 else 64}" for each in edge.loopbacks]
        made.addresses[edge.name, "lo"] = [f"{each}/{BIG[family_of(each)]}" for each in edge.probes]
    made.wires.append(Wire(("cust", "core"), ("sw", "c_cust"), "core"))
    made.addresses["cust", "core"] = [f"{each}/{24 if each.version == 4 else 64}" for each in inside.values()]
    made.addresses["cust", "lo"] = [f"{customer(intent, family)}/{BIG[family]}" for family in FAMILIES]
    made.wires.append(Wire(("rem", "net"), ("inet", "rem")))
    made.addresses["rem", "net"] = [f"{REMOTE[each]}/{REMOTE_LENGTH[each]}" for each in FAMILIES]
    made.addresses["inet", "rem"] = [f"{REMOTE_GATEWAY[each]}/{REMOTE_LENGTH[each]}" for each in FAMILIES]
    made.routes["rem"] = [f"route add default via {REMOTE_GATEWAY[4]}", f"-6 route add default via {REMOTE_GATEWAY[6]}"]
    for number, upstream in enumerate(intent.upstreams, 1):
        made.wires.append(Wire((upstream.edge, f"up_{upstream.name}"), (upstream.name, "cust"), upstream.name))
        made.wires.append(Wire((upstream.name, "inet"), ("inet", upstream.name)))
        made.addresses[upstream.edge, f"up_{upstream.name}"] = [_on(each.local) for each in upstream.links]
        made.addresses[upstream.name, "cust"] = [_on(each.neighbor) for each in upstream.links]
        made.addresses[upstream.name, "inet"] = [f"{_far(number, each, 1)}/{_link(each)}" for each in FAMILIES]
        made.addresses["inet", upstream.name] = [f"{_far(number, each, 2)}/{_link(each)}" for each in FAMILIES]
        far = {each: (_far(number, each, 1), _far(number, each, 2)) for each in FAMILIES}
        wanted = next((each for each in ("gobgp", "frr") if upstream.name in getattr(knobs, each)), "")
        if wanted and wanted not in installed:
            made.remarks.append(f"{upstream.name} runs BIRD: {LACKING[wanted]}")
        elif wanted == "gobgp":
            made.gobgp[upstream.name] = gobgp.texts(intent, upstream, far=far, internet=INTERNET_ASN)
            continue
        elif wanted == "frr":
            made.frr[upstream.name] = frr.texts(intent, upstream, far=far, internet=INTERNET_ASN)
            continue
        made.configs[upstream.name] = "\n".join(_neighbor(intent, upstream, number, knobs, folder)) + "\n"
    made.configs["inet"] = "\n".join(_internet(intent, knobs)) + "\n"
    made.configs["cust"] = "\n".join(_customer(intent)) + "\n"
    return made


def _on(address: object) -> str:
    return f"{address}/{64 if ':' in str(address) else 30}"


def _link(family: Family) -> int:
    return 30 if family == 4 else 64


def _far(number: int, family: Family, end: int) -> str:
    return f"10.100.{number}.{end}" if family == 4 else f"fd00:100:{number}::{end}"


def _base(router_id: str) -> Iterator[str]:
    yield f"router id {router_id};"
    yield "protocol device { scan time 1; }"
    for family in FAMILIES:
        kept = "import none; export where source != RTS_DEVICE;"
        yield f"protocol kernel kernel_ipv{family} {{ scan time 3600; ipv{family} {{ {kept} }}; }}"


SESSION = "connect delay time 1; connect retry time 2; error wait time 1, 5; graceful restart off;"
GRACEFUL = SESSION.replace(" off;", " on; graceful restart time {};")


def _own(intent: Intent, family: Family) -> str:
    return f"[ {', '.join(str(each.prefix) for each in intent.own(family))} ]"


def _neighbor(intent: Intent, upstream: Upstream, number: int, knobs: Knobs, folder: str) -> Iterator[str]:
    """A transit or the historical provider: between one of our edges and the Internet router."""
    is_hp = intent.historical == upstream
    yield from _base(f"10.100.{number}.1")
    if upstream.bfd and upstream.name not in knobs.forgets_bfd:
        yield "protocol bfd { }"
    if is_hp:
        yield f'include "{folder}/hp-phase.conf";'
    for family in FAMILIES:
        link = upstream.link(family)
        if link is None:
            continue
        own, net = _own(intent, family), f"ipv{family}"
        knows = knobs.hp_filter_has_new_origin or not is_hp
        taken = f"if net ~ {own} && bgp_path.last = {intent.asn} then accept;" if knows else ""
        told = "if source = RTS_BGP then accept;" + (' if proto ~ "extra*" then accept;' if knobs.extra_routes else "")
        bfd = upstream.bfd if upstream.name not in knobs.forgets_bfd else None
        intervals = f"min rx interval {bfd.interval_ms} ms; min tx interval {bfd.interval_ms} ms;" if bfd else ""
        graceful = " graceful;" if knobs.graceful_s and knobs.bfd_is_graceful else ""
        watch = f"bfd {{ {intervals} multiplier {bfd.multiplier};{graceful} }};" if bfd else ""
        timers = GRACEFUL.format(knobs.graceful_s) if knobs.graceful_s else SESSION
        if knobs.extra_routes and not is_hp:
            yield f"protocol static extra_{net} {{ {net}; {' '.join(_extra(family, knobs.extra_routes))} }}"
        yield (
            f"protocol bgp customer_{net} {{ local {link.neighbor} as {upstream.asn};"
            f" neighbor {link.local} as {intent.asn}; {timers} {watch} {net} {{"
            f" import filter {{ {taken} reject; }}; import keep filtered on;"
            f" export filter {{ if net ~ {own} then reject; {told} reject; }}; }}; }}"
        )
        static = f'if proto = "cust_{net}" then accept;' if is_hp else ""
        yield (
            f"protocol bgp inet_{net} {{ local {_far(number, family, 1)} as {upstream.asn};"
            f" neighbor {_far(number, family, 2)} as {INTERNET_ASN}; {SESSION} {net} {{ import where !(net ~ {own});"
            f" export filter {{ if source = RTS_BGP && net ~ {own} then accept; {static} reject; }}; }}; }}"
        )


def _extra(family: Family, count: int) -> Iterator[str]:
    for number in range(count):
        yield (
            f"route 100.{64 + number // 256}.{number % 256}.0/24 blackhole;"
            if family == 4
            else (f"route 2001:db8:{0x8000 + number:x}::/48 blackhole;")
        )


def _internet(intent: Intent, knobs: Knobs) -> Iterator[str]:
    yield from _base("10.100.0.1")
    for family in FAMILIES:
        yield f"roa{family} table roa_ipv{family};"
        yield f"protocol static view_ipv{family} {{ ipv{family}; route {REMOTE_NET[family]} unreachable; }}"
    tables = " ".join(f"roa{family} {{ table roa_ipv{family}; }};" for family in FAMILIES)
    yield f"protocol rpki rtr {{ {tables} remote 127.0.0.1 port 8282; retry keep 1; refresh keep 5; expire 600; }}"
    for number, upstream in enumerate(intent.upstreams, 1):
        for family in FAMILIES:
            ours, net = _own(intent, family), f"ipv{family}"
            old = sorted({each.old_origin for each in intent.own(family) if each.old_origin})
            by = knobs.far_filter_has_new_origin_by
            knows = knobs.far_filter_has_new_origin and (not by or upstream.name in by)
            origins = [*old, *([intent.asn] if knows else [])]
            listed = " || ".join(f"bgp_path.last = {each}" for each in origins) or "false"
            yield (
                f"protocol bgp {upstream.name}_{net} {{ local {_far(number, family, 2)} as {INTERNET_ASN};"
                f" neighbor {_far(number, family, 1)} as {upstream.asn}; {SESSION} {net} {{ import keep filtered on;"
                f" import filter {{ if roa_check(roa_{net}, net, bgp_path.last) = ROA_INVALID then reject;"
                f" if net ~ {ours} && ({listed}) then accept; reject; }};"
                f' export where proto = "view_{net}"; }}; }}'
            )


def _customer(intent: Intent) -> Iterator[str]:
    yield from _base("10.255.0.100")
    yield "protocol direct { ipv4; ipv6; }"
    for edge in intent.edges:
        for family in FAMILIES:
            inside, loopback = edge.next_hop_inside(family), edge.loopback(family)
            if inside is None or loopback is None:
                continue
            yield (
                f"protocol bgp {edge.name}_ipv{family} {{ local {inside} as {intent.asn}; neighbor {loopback} as"
                f" {intent.asn}; {SESSION} ipv{family} {{ import all; export none; }}; }}"
            )
