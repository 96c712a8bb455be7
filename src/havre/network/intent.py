"""From the reviewed YAML tree to the `Intent`: every mistake is told with its file and line, all at once.

What a single place can say about itself is checked while it is read; what two places must agree on, after.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from havre.base.errors import InvalidError, UnavailableError
from havre.network import model
from havre.network.agreement import Agreement
from havre.network.marks import Node, Reader
from havre.network.model import FAMILIES, LONGEST, Address, Asn, Family, Intent, Prefix, UpstreamKind

NAME = re.compile(r"[a-z][a-z0-9_]{0,19}")
KINDS = {each.value: each for each in UpstreamKind}
GRACE_WITH_BFD_S = 10
TOP = ("asn", "registry", "prefixes", "sites", "upstreams", "communities", "policies", "observers")
UPSTREAM = (
    "kind", "asn", "edge", "ipv4", "ipv6", "only", "preference", "prepends", "bfd", "hold_s", "connect_retry_s",
    "graceful_restart_s", "limits", "filters", "password_file", "managed_socket", "managed_file", "irr_sources",
    "wait_h",
)  # fmt: skip
EDGE = ("router_id", "loopbacks", "inside", "inside_speaks_bgp", "probes", "engine", "socket", "config", "namespace")


def load(file: Path) -> Intent:
    """Raises UnavailableError when the file cannot be read, InvalidError with every mistake in it."""
    try:
        content = file.read_text()
    except (OSError, UnicodeDecodeError) as cause:
        raise UnavailableError(f"the intent {file} cannot be read", file=str(file)) from cause
    return parse(content, file=str(file))


def parse(content: str, *, file: str = "intent.yaml") -> Intent:
    """The intent that `content` says. Raises InvalidError: one line for each mistake, `file:line: what`."""
    reader = Reader(file)
    root = reader.root(content)
    intent = _Tree(reader).intent(root) if root is not None else None
    reader.finish()
    assert intent is not None
    return intent


@dataclass
class _Tree:
    """One reading. `places`: where each thing stands, for the checks that come after."""

    reader: Reader
    places: dict[str, Node] = field(default_factory=dict)

    def intent(self, root: Node) -> Intent:
        found = self.reader.fields(root, TOP, required=("asn", "prefixes", "sites", "upstreams"))
        asn = self._asn(found["asn"]) if "asn" in found else Asn(1)
        sites, edges = self._sites(found["sites"]) if "sites" in found else ((), ())
        intent = Intent(
            asn=asn,
            prefixes=self._prefixes(found["prefixes"]) if "prefixes" in found else (),
            sites=sites,
            edges=edges,
            upstreams=self._upstreams(found["upstreams"]) if "upstreams" in found else (),
            communities=self._communities(found.get("communities")),
            policies=self._policies(found.get("policies")),
            registry=self._registry(found.get("registry")),
            observers=self._observers(found.get("observers")),
        )
        if not self.reader.mistakes:
            Agreement(self.reader, self.places, root).check(intent)
        return intent

    def _asn(self, node: Node) -> Asn:
        return self.reader.value(node, model.parse_asn, Asn(1))

    def _name(self, node: Node, what: str) -> str:
        if not NAME.fullmatch(node.text):
            self.reader.wrong(node, f"{what} has a name of small letters, digits and _ (20 at most, a letter first)")
        if f"{what} {node.text}" in self.places:
            self.reader.wrong(node, f"there is another {what} of this name")
        self.places[f"{what} {node.text}"] = node
        return node.text

    # prefixes

    def _prefixes(self, node: Node) -> tuple[model.OwnPrefix, ...]:
        own = []
        for each in self.reader.entries(node):
            found = self.reader.fields(each, ("prefix", "old_origin", "max_length"), required=("prefix",))
            if "prefix" not in found:
                continue
            prefix = self.reader.value(found["prefix"], Prefix.parse, Prefix("0.0.0.0/0"))
            limit = LONGEST[prefix.family]
            if prefix.length > limit:
                self.reader.wrong(found["prefix"], f"the Internet takes nothing longer than /{limit}")
            old = self._asn(found["old_origin"]) if "old_origin" in found else None
            longest = 0
            if "max_length" in found:
                longest = self.reader.number(found["max_length"], low=prefix.length, high=limit)
            self.places[f"prefix {prefix}"] = each
            own.append(model.OwnPrefix(prefix, old, longest))
        return tuple(own)

    # sites and edges

    def _sites(self, node: Node) -> tuple[tuple[model.Site, ...], tuple[model.Edge, ...]]:
        sites, edges = [], []
        for key, value in self.reader.items(node):
            site = self._name(key, "site")
            found = self.reader.fields(value, ("edges",), required=("edges",))
            made = [self._edge(*each, site) for each in self.reader.items(found["edges"])] if "edges" in found else []
            sites.append(model.Site(site, tuple(each.name for each in made)))
            edges += made
        return tuple(sites), tuple(edges)

    def _edge(self, key: Node, value: Node, site: str) -> model.Edge:
        name = self._name(key, "edge")
        found = self.reader.fields(value, EDGE, required=("router_id", "loopbacks"))
        router_id = IPv4Address("0.0.0.1")
        if "router_id" in found:
            given = self._address(found["router_id"])
            if isinstance(given, IPv4Address):
                router_id = given
            else:
                self.reader.wrong(found["router_id"], "a router's id has the form of an IPv4 address")
        options: dict[str, Any] = {}
        for each in ("socket", "config", "namespace"):
            if each in found:
                options[each] = self.reader.text(found[each])
        if "engine" in found:
            options["engine"] = self.reader.choice(found["engine"], {"bird": "bird", "frr": "frr"}, "bird")
        if "inside_speaks_bgp" in found:
            options["inside_speaks_bgp"] = self.reader.flag(found["inside_speaks_bgp"])
        for each in ("loopbacks", "inside", "probes"):
            options[each] = self._both(found[each]) if each in found else ()
        return model.Edge(name, site, router_id, **options)

    def _address(self, node: Node) -> Address | None:
        return self.reader.value(node, model.parse_address, None)

    def _both(self, node: Node) -> tuple[Address, ...]:
        """A list of an IPv4 and an IPv6 address."""
        found = [each for each in map(self._address, self.reader.entries(node)) if each is not None]
        families = [model.family_of(each) for each in found]
        for family in FAMILIES:
            if families.count(family) != 1:
                self.reader.wrong(
                    node, f"one IPv{family} address has to stand here, and there are {families.count(family)}"
                )
        return tuple(sorted(found, key=lambda each: each.version))

    # upstreams

    def _upstreams(self, node: Node) -> tuple[model.Upstream, ...]:
        return tuple(self._upstream(key, value) for key, value in self.reader.items(node))

    def _upstream(self, key: Node, value: Node) -> model.Upstream:
        name = self._name(key, "upstream")
        found = self.reader.fields(value, UPSTREAM, required=("kind", "asn", "edge"))
        kind = (
            self.reader.choice(found["kind"], KINDS, UpstreamKind.TRANSIT) if "kind" in found else UpstreamKind.TRANSIT
        )
        options: dict[str, Any] = {}
        for number, (low, high) in {"preference": (1, 4000), "prepends": (0, 10)}.items():
            if number in found:
                options[number] = self.reader.number(found[number], low=low, high=high)
        for text in ("password_file", "managed_socket", "managed_file"):
            if text in found:
                options[text] = self.reader.text(found[text])
        if "irr_sources" in found:
            options["irr_sources"] = tuple(self.reader.text(each) for each in self.reader.entries(found["irr_sources"]))
        if "wait_h" in found:
            options["wait_h"] = self.reader.quantity(found["wait_h"], low=0, high=24 * 14)
        if "limits" in found:
            options["limits"] = self._limits(found["limits"])
        if "filters" in found:
            options["filters"] = self._filters(found["filters"])
        bfd = self._bfd(found["bfd"]) if "bfd" in found else None
        timers = self._timers(found)
        if bfd is not None and timers.graceful_restart_s > GRACE_WITH_BFD_S:
            text = f"with BFD it is {GRACE_WITH_BFD_S} at most: longer, a cut link is a black hole for that long"
            self.reader.wrong(found["graceful_restart_s"], text)
        if kind in (UpstreamKind.PEER, UpstreamKind.IXP) and "filters" not in found:
            self.reader.wrong(key, f"from a {kind.value} only its customers' prefixes are taken: 'filters' is missing")
        return model.Upstream(
            name=name,
            kind=kind,
            asn=self._asn(found["asn"]) if "asn" in found else Asn(1),
            edge=self.reader.text(found["edge"]) if "edge" in found else "",
            links=self._links(key, found),
            bfd=bfd,
            timers=timers,
            **options,
        )

    def _links(self, key: Node, found: dict[str, Node]) -> tuple[model.Link, ...]:
        only = self.reader.choice(found["only"], {"ipv4": 4, "ipv6": 6}, 0) if "only" in found else 0
        links = []
        for family in FAMILIES:
            name = f"ipv{family}"
            if name in found:
                link = self._link(found[name], family)
                links += [link] if link is not None else []
            elif only in (0, family):
                hint = "" if only else "; a neighbour without it says so: only: " + ("ipv6" if family == 4 else "ipv4")
                self.reader.wrong(key, f"{name!r} is missing{hint}")
        return tuple(links)

    def _link(self, node: Node, family: Family) -> model.Link | None:
        ends = self.reader.fields(node, ("local", "neighbor"), required=("local", "neighbor"))
        found = {name: self._address(each) for name, each in ends.items()}
        local, neighbor = found.get("local"), found.get("neighbor")
        for name, address in found.items():
            if address is not None and model.family_of(address) != family:
                self.reader.wrong(ends[name], f"{address} is not an IPv{family} address")
        if local is None or neighbor is None:
            return None
        if local == neighbor:
            self.reader.wrong(node, "both ends have the same address")
        return model.Link(local, neighbor)

    def _bfd(self, node: Node) -> model.Bfd:
        found = self.reader.fields(node, ("interval_ms", "multiplier"))
        bounds = {"interval_ms": (10, 10_000), "multiplier": (2, 50)}
        return model.Bfd(
            **{
                name: self.reader.number(each, low=bounds[name][0], high=bounds[name][1])
                for name, each in found.items()
            }
        )

    def _timers(self, found: dict[str, Node]) -> model.Timers:
        bounds = {"hold_s": (3, 240), "connect_retry_s": (1, 120), "graceful_restart_s": (0, 120)}
        given = {name: found[name] for name in bounds if name in found}
        return model.Timers(
            **{
                name: self.reader.number(each, low=bounds[name][0], high=bounds[name][1])
                for name, each in given.items()
            }
        )

    def _limits(self, node: Node) -> model.Limits:
        known = ("import_ipv4", "import_ipv6", "export_ipv4", "export_ipv6")
        found = self.reader.fields(node, known)
        return model.Limits(**{name: self.reader.number(each, low=1, high=10_000_000) for name, each in found.items()})

    def _filters(self, node: Node) -> model.FilterSource:
        found = self.reader.fields(node, ("as_set", "sources"), required=("as_set",))
        sources = (
            tuple(self.reader.text(each) for each in self.reader.entries(found["sources"]))
            if "sources" in found
            else ()
        )
        return model.FilterSource(self.reader.text(found["as_set"]) if "as_set" in found else "", sources)

    # the rest

    def _communities(self, node: Node | None) -> model.Communities:
        known = ("learned_from", "kind", "own")
        found = self.reader.fields(node, known) if node is not None else {}
        return model.Communities(
            **{name: self.reader.number(each, low=1, high=2**32 - 1) for name, each in found.items()}
        )

    def _policies(self, node: Node | None) -> model.Policies:
        if node is None:
            return model.Policies()
        found = self.reader.fields(node, ("rov", "rtr", "first_as", "bogons"))
        options: dict[str, Any] = {}
        if "rov" in found:
            options["rov"] = self.reader.choice(found["rov"], {each: each for each in ("reject", "mark", "off")}, "off")
        if "rtr" in found:
            options["rtr"] = self.reader.value(found["rtr"], _host_port, "")
        for name in ("first_as", "bogons"):
            if name in found:
                options[name] = self.reader.flag(found[name])
        return model.Policies(**options)

    def _registry(self, node: Node | None) -> model.Registry:
        known = ("as_set", "maintainer", "source", "contact", "vrps", "servers")
        found = self.reader.fields(node, known) if node is not None else {}
        servers = found.pop("servers", None)
        asked = self.reader.items(servers) if servers is not None else []
        return model.Registry(
            **{name: self.reader.text(each) for name, each in found.items()},
            servers=tuple((key.text.upper(), self.reader.value(each, _registry_address, "")) for key, each in asked),
        )

    def _observers(self, node: Node | None) -> model.Observers:
        if node is None:
            return model.Observers()
        known = ("looking_glasses", "probers", "streams", "targets", "poll_ms", "soak_s", "samples", "wait_s")
        found = self.reader.fields(node, known)
        options: dict[str, Any] = {}
        if "looking_glasses" in found:
            options["looking_glasses"] = tuple(
                self._glass(each) for each in self.reader.entries(found["looking_glasses"])
            )
        if "probers" in found:
            self.places["probers"] = found["probers"]
            ends = self.reader.fields(found["probers"], ("inside", "outside"), required=("inside", "outside"))
            options |= {name: self._end(each) for name, each in ends.items()}
        if "streams" in found:
            options["streams"] = self.reader.text(found["streams"])
        if "targets" in found:
            options["targets"] = self._both(found["targets"])
        for name, (low, high) in {"poll_ms": (1, 600_000), "samples": (1, 100_000)}.items():
            if name in found:
                options[name] = self.reader.number(found[name], low=low, high=high)
        for name in ("soak_s", "wait_s"):
            if name in found:
                options[name] = self.reader.quantity(found[name], low=0, high=30 * 86400)
        return model.Observers(**options)

    def _glass(self, node: Node) -> model.LookingGlass:
        found = self.reader.fields(node, ("name", "socket", "at", "url", "every_s"), required=("name",))
        options: dict[str, Any] = {"name": ""}
        for key in ("name", "socket", "at"):
            if key in found:
                options[key] = self.reader.text(found[key])
        if "url" in found:
            options["url"] = self.reader.value(found["url"], _glass_url, "")
        if "every_s" in found:
            options["every_s"] = self.reader.quantity(found["every_s"], low=0, high=3600)
        if ("socket" in found) == ("url" in found):
            self.reader.wrong(node, "a looking glass has a socket (BIRD's) or a url, and not both")
        return model.LookingGlass(**options)

    def _end(self, node: Node) -> model.ProbeEnd:
        found = self.reader.fields(node, ("addresses", "namespace"), required=("addresses",))
        return model.ProbeEnd(
            addresses=self._both(found["addresses"]) if "addresses" in found else (),
            namespace=self.reader.text(found["namespace"]) if "namespace" in found else "",
        )


def _glass_url(text: str) -> str:
    if not re.match(r"https?://[^/\s]+/\S*$", text) or "{prefix}" not in text:
        raise InvalidError(
            f"{text!r} is not an address with {{prefix}} in it, such as https://lg.example/?q={{prefix}}"
        )
    return text


def _registry_address(text: str) -> str:
    if not re.fullmatch(r"(irrd|whois)://(\[[0-9a-fA-F:]+\]|[^/:\s]+)(:\d{1,5})?", text):
        raise InvalidError(f"{text!r} is not irrd://host:port or whois://host:port")
    return text


def _host_port(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidError(f"{text!r} is not a host and port, such as 127.0.0.1:8282")
    return text
