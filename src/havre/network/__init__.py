"""The network: what our routers should announce and accept, and the way from one origin of our prefixes to another.

One reviewed tree of intent is turned into the daemons' configurations; registries are evidence, packets are the judge.
Manual page: README.md.
"""

from havre.network.model import Asn, Edge, Intent, Prefix, Upstream, UpstreamKind, parse_asn
from havre.network.now import adopt_now, apply_now, go_back, plan_now, versions

__all__ = [
    "Asn", "Edge", "Intent", "Prefix", "Upstream", "UpstreamKind", "adopt_now", "apply_now", "go_back", "parse_asn",
    "plan_now", "versions",
]  # fmt: skip
