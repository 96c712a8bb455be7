"""The world of the lab: who runs which daemon, and what it is told."""

from __future__ import annotations

import tomllib

from havre.network.lab.outcome import unexpected
from havre.network.lab.scenario import Scenario, parse
from havre.network.lab.servers import fib
from havre.network.lab.world import Knobs, world
from havre.network.probes.streams import Counted
from tests.decide.network_rig import example, parsed


def test_three_transits_run_three_daemons() -> None:
    made = world(parsed(example()), Knobs(), "/lab")
    assert (list(made.frr), list(made.gobgp), made.remarks) == (["t2"], ["t3"], [])
    assert "t1" in made.configs and not {"t2", "t3"} & made.configs.keys()


def test_bird_stands_in_for_what_is_not_installed_and_it_is_said() -> None:
    made = world(parsed(example()), Knobs(), "/lab", installed=["frr"])
    assert list(made.frr) == ["t2"] and "t3" in made.configs and not made.gobgp
    assert made.remarks == ["t3 runs BIRD: GoBGP and FRR are not both installed (apt install gobgpd frr)"]


def test_gobgp_takes_our_prefixes_from_us_alone_and_tells_them_outside_alone() -> None:
    tree = parsed(example())
    told = tomllib.loads(world(tree, Knobs(), "/lab").gobgp["t3"]["gobgpd"])
    assert told["global"]["apply-policy"]["config"]["default-import-policy"] == "reject-route"
    assert {each["config"]["neighbor-address"] for each in told["neighbors"]} == {
        "10.0.4.1", "fd00:4::1", "10.100.4.2", "fd00:100:4::2",
    }  # fmt: skip
    words = {
        each["name"]: [
            (rule["conditions"].get("match-prefix-set", {}).get("prefix-set", ""), rule["actions"]["route-disposition"])
            for rule in each["statements"]
        ]
        for each in told["policy-definitions"]
    }
    ours = [("own4", "accept-route"), ("own6", "accept-route")]
    others = [("own4", "reject-route"), ("own6", "reject-route"), ("", "accept-route")]
    assert words == {
        "import-customer": ours, "import-internet": others, "export-customer": others, "export-internet": ours,
    }  # fmt: skip


def test_the_forwarding_table_follows_what_the_monitor_says() -> None:
    line = "[ROUTE] 203.0.113.0/24 via 10.100.4.2 aspath [64496] attrs [{Origin: i}]"
    assert fib.change(line) == ["ip", "-4", "route", "replace", "203.0.113.0/24", "via", "10.100.4.2", "proto", "bgp"]
    gone = "[DELROUTE] 2001:db8:f::/48 via fd00:100:4::2 aspath [64496] attrs [{Origin: i}]"
    assert fib.change(gone) == ["ip", "-6", "route", "del", "2001:db8:f::/48", "proto", "bgp"]
    assert fib.change("context deadline exceeded") == []


def test_what_is_less_bad_than_it_must_be_is_not_as_expected() -> None:
    text = "name: x\npath: wrong\ndo:\n  - wait: 1\nexpect: { gap_in_ms: 900, least_gap_in_ms: 500 }\n"
    scenario: Scenario = parse(text, file="x.yaml")

    def told(gap: float) -> tuple[str, ...]:
        return unexpected(scenario, (Counted("in-6", 1000, 1, gap), Counted("out-6", 1000, 0, 0.0)), "CLEANED")

    assert told(600) == ()
    assert told(100) == ("IPv6 in: 100 ms alone without a packet, not 500 at least",)
    assert told(1000) == ("IPv6 in: a gap of 1000 ms, not 900 at most",)
