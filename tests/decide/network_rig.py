"""Trees of intent that the tests of the network use."""

from __future__ import annotations

from pathlib import Path

from havre.network import intent
from havre.network.model import Intent

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "network" / "intent.yaml"
GOLDEN = Path(__file__).with_name("golden") / "network"
PEERS = """\
  ix:
    kind: ixp
    asn: 64700
    edge: lyo1
    ipv4: { local: 10.9.0.1, neighbor: 10.9.0.2 }
    ipv6: { local: "fd00:9::1", neighbor: "fd00:9::2" }
    filters: { as_set: AS-IX-MEMBERS }
  p1:
    kind: peer
    asn: 64701
    edge: lil1
    only: ipv6
    ipv6: { local: "fd00:8::1", neighbor: "fd00:8::2" }
    filters: { as_set: AS-P1, sources: [RIPE] }
    graceful_restart_s: 10
    password_file: /etc/bird/p1.conf

policies:
  rov: mark
  rtr: 127.0.0.1:8282
"""
LISTS = {
    ("ix", 4): ("192.0.2.0/24", "100.64.0.0/10{10,24}"),
    ("ix", 6): ("2001:db8:900::/40+",),
    ("p1", 6): ("2001:db8:800::/48",),
}


def example() -> str:
    return EXAMPLE.read_text()


def with_peers() -> str:
    return example().partition("policies:")[0] + PEERS


def parsed(content: str) -> Intent:
    return intent.parse(content, file="tree.yaml")
