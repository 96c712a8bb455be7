"""The network: what our routers should announce and accept, and the way from one origin of our prefixes to another.

One reviewed tree of intent is turned into the daemons' configurations; registries are evidence, packets are the judge.
What works on a tree without the control plane (`havre network plan`, `apply`, …) is in `now`. Manual page: README.md.
"""

from havre.network.model import Asn, Edge, Intent, Prefix, Upstream, UpstreamKind, parse_asn
from havre.network.room import begin, confirm, migration, migrations, pause, proof_of, resume, revert, setup
from havre.network.tables import SCHEMA, Evidence, Migration

__all__ = [
    "SCHEMA", "Asn", "Edge", "Evidence", "Intent", "Migration", "Prefix", "Upstream", "UpstreamKind",
    "begin", "confirm", "migration", "migrations", "parse_asn", "pause",
    "proof_of", "resume", "revert", "setup",
]  # fmt: skip
