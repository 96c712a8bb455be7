"""The plan of 4 upstreams at each of 3 sites, one at each with a filter of 50,000 prefixes of which 1,000 change."""

from __future__ import annotations

import ipaddress
import statistics
import time

from havre.network import decide, engines, plan
from havre.network import intent as intents

PREFIXES, CHANGED, ROUNDS = 50_000, 1_000, 5
HEAD = """\
asn: 3320
prefixes:
  - prefix: 193.0.0.0/21
  - prefix: 2001:67c:2e8::/48
"""


def tree() -> str:
    """A tree of intent with three sites of one edge each."""
    text = HEAD + "sites:\n"
    for site in (1, 2, 3):
        text += f"  s{site}:\n    edges:\n      e{site}:\n        router_id: 10.255.0.{site}\n"
        text += f'        loopbacks: [10.255.0.{site}, "fd00::{site}"]\n'
    text += "upstreams:\n"
    for site in (1, 2, 3):
        for number in (1, 2, 3, 4):
            kind = "ixp" if number == 4 else "transit"
            text += f"  u{site}{number}:\n    kind: {kind}\n    asn: {1000 + site * 10 + number}\n    edge: e{site}\n"
            net = site * 10 + number
            text += f"    ipv4: {{ local: 10.0.{net}.1, neighbor: 10.0.{net}.2 }}\n"
            text += f'    ipv6: {{ local: "fd00:{net}::1", neighbor: "fd00:{net}::2" }}\n'
            text += "    filters: { as_set: AS-IX }\n" if kind == "ixp" else ""
    return text


def lists(first: int) -> dict[tuple[str, int], tuple[str, ...]]:
    base = int(ipaddress.ip_address("20.0.0.0"))
    four = tuple(f"{ipaddress.ip_address(base + at * 256)}/24" for at in range(first, first + PREFIXES))
    return {
        (f"u{site}4", family): four if family == 4 else ("2a00::/16{16,48}",) for site in (1, 2, 3) for family in (4, 6)
    }


def measure() -> float:
    """Median seconds from the tree's text to the words, the requests and the differences."""
    before_intent = intents.parse(tree())
    posture = decide.settled(before_intent)
    before = {each.name: engines.render(before_intent, each, posture, lists(0)) for each in before_intent.edges}
    found = lists(CHANGED)
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        intent = intents.parse(tree())
        after = {each.name: engines.render(intent, each, decide.settled(intent), found) for each in intent.edges}
        made = plan.plan(intent, decide.settled(intent), before=before, after=after)
        times.append(time.perf_counter() - began)
        assert len(made.words) == 3 and made.turns == 1, made.words
    return statistics.median(times)


if __name__ == "__main__":
    print(f"{measure():.2f} s")
