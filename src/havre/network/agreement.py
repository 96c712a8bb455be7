"""What the parts of an intent must agree on, told at the lines where it is so. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from havre.network.marks import Node, Reader, nearest
from havre.network.model import FAMILIES, Address, Intent, Prefix, UpstreamKind


@dataclass
class Agreement:
    """The checks of one tree. places: where each named thing stands."""

    reader: Reader
    places: dict[str, Node]
    root: Node

    def check(self, intent: Intent) -> None:
        self._prefixes(intent)
        self._edges(intent)
        self._upstreams(intent)
        self._glasses(intent)
        self._probers(intent)

    def _prefixes(self, intent: Intent) -> None:
        for family in FAMILIES:
            if not intent.own(family):
                self.reader.wrong(self.root, f"there is no IPv{family} prefix of ours: every installation has both")
        seen: list[Prefix] = []
        for own in intent.prefixes:
            place = self.places[f"prefix {own.prefix}"]
            if own.prefix in seen:
                self.reader.wrong(place, f"{own.prefix} stands twice")
            if own.old_origin == intent.asn:
                self.reader.wrong(place, "its old origin is our own number; leave it out")
            if own.old_origin is not None and own.old_origin not in [
                each.asn for each in intent.of_kind(UpstreamKind.HISTORICAL)
            ]:
                self.reader.wrong(place, f"its old origin AS{own.old_origin} is no upstream of kind historical")
            seen.append(own.prefix)

    def _glasses(self, intent: Intent) -> None:
        names = {each.name for each in intent.upstreams}
        for glass in intent.observers.looking_glasses:
            if glass.at and glass.at not in names:
                near = nearest(glass.at, sorted(names))
                self.reader.wrong(self.root, f"the looking glass {glass.name} is at no upstream: {glass.at!r}{near}")

    def _probers(self, intent: Intent) -> None:
        """What is sent inside is sent from our own prefixes: others would be probed otherwise."""
        end, place = intent.observers.inside, self.places.get("probers", self.root)
        for address in end.addresses if end is not None else ():
            if not any(own.prefix.covers(Prefix(f"{address}/{address.max_prefixlen}")) for own in intent.prefixes):
                self.reader.wrong(place, f"the prober inside sends from {address}, which is in none of our prefixes")
        if end is not None and intent.observers.streams:
            self.reader.wrong(place, "probers of ours and streams of somebody else: one of both")

    def _edges(self, intent: Intent) -> None:
        taken: dict[str, str] = {}
        for edge in intent.edges:
            place = self.places[f"edge {edge.name}"]
            for address in (edge.router_id, *edge.loopbacks, *edge.probes):
                other = taken.setdefault(str(address), edge.name)
                if other != edge.name:
                    self.reader.wrong(place, f"{address} is also edge {other}'s")
            for probe in edge.probes:
                if not any(own.prefix.covers(Prefix(f"{probe}/{probe.max_prefixlen}")) for own in intent.prefixes):
                    self.reader.wrong(place, f"the probe address {probe} is in none of our prefixes")

    def _upstreams(self, intent: Intent) -> None:
        if len(intent.of_kind(UpstreamKind.HISTORICAL)) > 1:
            last = intent.of_kind(UpstreamKind.HISTORICAL)[-1]
            self.reader.wrong(
                self.places[f"upstream {last.name}"], "there is another historical provider; one is the limit"
            )
        edges = {each.name for each in intent.edges}
        neighbors: dict[Address, str] = {}
        for upstream in intent.upstreams:
            place = self.places[f"upstream {upstream.name}"]
            if upstream.edge not in edges:
                self.reader.wrong(place, f"there is no edge {upstream.edge!r}{nearest(upstream.edge, sorted(edges))}")
            if upstream.asn == intent.asn:
                self.reader.wrong(place, "its number is our own")
            for link in upstream.links:
                other = neighbors.setdefault(link.neighbor, upstream.name)
                if other != upstream.name:
                    self.reader.wrong(place, f"{link.neighbor} is also the neighbour of {other}")
            for family in upstream.families:
                least, limit = len(intent.own(family)), upstream.limits.exported(family)
                if limit and limit * 10 < least * 12:
                    self.reader.wrong(
                        place, f"it takes {limit} IPv{family} prefixes of us; we plan {least} and want a fifth more"
                    )
