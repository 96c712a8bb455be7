"""The network: what our routers should announce and accept, and the way from one origin of our prefixes to another.

One reviewed tree of intent is turned into the daemons' configurations; registries are evidence, packets are the judge.
Manual page: README.md.
"""

from havre.network.model import Asn, Edge, Intent, Prefix, Upstream, UpstreamKind, parse_asn

__all__ = ["Asn", "Edge", "Intent", "Prefix", "Upstream", "UpstreamKind", "parse_asn"]
