"""The network: what our routers should announce and accept, and the way from one origin of our prefixes to another.

One reviewed tree of intent is turned into the daemons' configurations; registries are evidence, packets are the judge.
Manual page: README.md.
"""

from havre.network.model import Asn, Edge, Intent, Prefix, Upstream, UpstreamKind, parse_asn
from havre.network.now import adopt_now, apply_now, check, filings_now, go_back, plan_now, preflight_now, versions
from havre.network.room import begin, confirm, migration, migrations, pause, proof_of, resume, revert, setup
from havre.network.tables import SCHEMA, Evidence, Migration

__all__ = [
    "SCHEMA", "Asn", "Edge", "Evidence", "Intent", "Migration", "Prefix", "Upstream", "UpstreamKind", "adopt_now",
    "apply_now", "begin", "check", "confirm", "filings_now", "go_back", "migration", "migrations", "parse_asn", "pause",
    "plan_now", "preflight_now", "proof_of", "resume", "revert", "setup", "versions",
]  # fmt: skip
