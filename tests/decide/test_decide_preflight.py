"""Each check of preflight: what passes it, and an example that fails it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from havre.base.errors import InvalidError
from havre.drivers.irr import rpsl
from havre.network import model, preflight
from havre.network.preflight import Case, Evidence, Probe, Result, told
from havre.network.registries import policy, vrps
from havre.network.registries.sets import Members
from havre.network.registries.vrps import Vrp
from tests.decide.test_decide_registry_policy import intent, upstream

OUR4, OUR6 = ipaddress.ip_network("198.51.100.0/24"), ipaddress.ip_network("2001:db8:100::/48")
OLD, NEW = 64500, 64510
ROAS = tuple(Vrp(prefix, prefix.prefixlen, asn) for prefix in (OUR4, OUR6) for asn in (OLD, NEW))
MEMBERS = Members("AS64510:AS-OUR", ("AS64510", "AS64999"), {"AS64510:AS-OUR": ("AS64510", "AS64999")})
AUTNUM = rpsl.of(
    [
        ("aut-num", "AS64510"),
        *(
            line
            for asn in (64500, 64501, 64502)
            for line in policy.lines(asn, (4, 6), accept="ANY", announce="AS64510:AS-OUR")
        ),
        ("source", "RIPE"),
    ]
)
PEER = replace(upstream("peer", 64502, "peer"), filters=model.FilterSource("AS64502:AS-ALL"))
LIMITS = model.Limits(export_ipv4=10, export_ipv6=10)


def ready(**changes: Any) -> model.Intent:
    """An intent that passes every check."""
    found = intent(policies=model.Policies(rtr="127.0.0.1:8282"))
    upstreams = tuple(replace(each, limits=LIMITS) for each in (*found.upstreams, PEER))
    return replace(found, upstreams=upstreams, **changes)


def seen(**changes: Any) -> Evidence:
    """Evidence with which everything is well."""
    both = frozenset({OLD, NEW})
    probes = {(name, family): Probe(50, 50) for name in ("hp", "t1") for family in (4, 6)}
    found = Evidence(
        origins={("RIPE", OUR4): both, ("RIPE", OUR6): both},
        members=MEMBERS,
        autnum=AUTNUM,
        table=vrps.table(ROAS),
        lists={("peer", 4): ("9.9.9.0/24",), ("peer", 6): ("2a00::/32",)},
        outbound=probes,  # type: ignore[arg-type]
        restarts=("t1",),
        cases=(Case("in_t1_ipv4", "9.9.9.0/24", "a good route", True, True),),
    )
    return replace(found, **changes)


def with_upstream(name: str, **changes: Any) -> model.Intent:
    found = ready()
    upstreams = tuple(replace(each, **changes) if each.name == name else each for each in found.upstreams)
    return replace(found, upstreams=upstreams)


def test_when_all_is_well_every_check_says_so() -> None:
    report = preflight.run(ready(), seen())
    assert {each.result for each in report} == {Result.OK}, str(report)
    assert report.is_clear and {each.check for each in report} == {each.name for each in preflight.CHECKS}
    assert all(each.evidence and not each.advice for each in report)


def test_what_was_not_looked_at_is_never_taken_for_a_pass() -> None:
    report = preflight.run(ready(), Evidence())
    unknown = {each.check for each in report.of(Result.UNKNOWN)}
    assert unknown == {
        "route-object", "both-origins", "as-set-member", "as-set-acyclic", "roa-new-origin", "roa-old-origin",
        "roa-max-length", "roa-as0", "aut-num", "filters-proven", "anti-spoof", "filter-list", "session-restarts",
    }  # fmt: skip
    assert not report.is_clear and all(each.advice for each in report.stops)


def origins(four: set[int], six: set[int] = frozenset({OLD, NEW})) -> dict[Any, frozenset[int]]:  # type: ignore[assignment]
    return {("RIPE", OUR4): frozenset(four), ("RIPE", OUR6): frozenset(six)}


def own(text: str, **changes: Any) -> tuple[model.OwnPrefix, ...]:
    return (model.OwnPrefix(model.Prefix.parse(text), **changes),)


LOOP = Members("AS64510:AS-OUR", ("AS64510",), {"AS64510:AS-OUR": ("AS64510", "AS-SUB"), "AS-SUB": ("AS64510:AS-OUR",)})
LAME = replace(MEMBERS, missing=("AS-GONE",))
BROKEN = rpsl.of([("aut-num", "AS64510"), ("import", "from AS1"), ("source", "RIPE")])
FOUR_ONLY = rpsl.of(
    [("aut-num", "AS64510"), *policy.lines(64501, (4,), accept="ANY", announce="AS-X"), ("source", "RIPE")]
)
BFD = model.Bfd(100, 3)
STOP, WARNING = Result.STOP, Result.WARNING
Failing = tuple[str, Result, Callable[[], model.Intent], Callable[[], Evidence], str, str]
FAILING: list[Failing] = [
    ("route-object", STOP, ready, lambda: seen(origins=origins({OLD})), "198.51.100.0/24 AS64510 in RIPE", "would refuse us"),
    ("route-object", STOP, ready, lambda: seen(origins=origins({NEW}, set())), "2001:db8:100::/48 AS64510", "nobody has one"),
    ("route-object", Result.UNKNOWN, lambda: with_upstream("t1", irr_sources=("RIPE", "RADB")), seen, "in RADB", "not asked"),
    ("both-origins", STOP, ready, lambda: seen(origins=origins({NEW})), "AS64500 + AS64510", "missing: AS64500"),
    ("as-set-member", STOP, ready, lambda: seen(members=replace(MEMBERS, origins=("AS64999",))), "AS-OUR", "not to AS64510"),
    ("as-set-member", STOP, ready, lambda: seen(members=None, has_set=False), "AS-OUR", "no registry has it"),
    ("as-set-member", WARNING, ready, lambda: seen(members=LAME), "AS-OUR", "AS-GONE"),
    ("as-set-acyclic", STOP, ready, lambda: seen(members=LOOP), "AS-OUR", "AS64510:AS-OUR > AS-SUB > AS64510:AS-OUR"),
    ("roa-new-origin", STOP, ready, lambda: seen(table=vrps.table(v for v in ROAS if v.asn == OLD)), "198.51.100.0/24 AS64510", "invalid"),
    ("roa-new-origin", STOP, ready, lambda: seen(table=vrps.Vrps()), "2001:db8:100::/48 AS64510", "unknown"),
    ("roa-old-origin", STOP, ready, lambda: seen(table=vrps.table(v for v in ROAS if v.asn == NEW)), "AS64500", "invalid"),
    ("roa-max-length", STOP, ready, lambda: seen(table=vrps.table([*ROAS, Vrp(OUR4, 32, NEW)])), "198.51.100.0/24", "up to /32"),
    ("roa-max-length", WARNING, lambda: ready(prefixes=own("198.51.96.0/22", max_length=24)), lambda: seen(table=vrps.Vrps()), "198.51.96.0/22", "asks for /24"),
    ("roa-as0", STOP, ready, lambda: seen(table=vrps.table([*ROAS, Vrp(OUR6, 48, 0)])), "2001:db8:100::/48", "by AS0"),
    ("aut-num", STOP, ready, lambda: seen(autnum=FOUR_ONLY), "to t1", "no import and export for IPv6"),
    ("aut-num", STOP, ready, lambda: seen(autnum=FOUR_ONLY), "to hp", "IPv4 and IPv6"),
    ("aut-num", STOP, ready, lambda: seen(autnum=BROKEN), "AS64510", "has no `accept`"),
    ("aut-num", STOP, ready, lambda: seen(autnum=None, has_autnum=False), "AS64510", "no registry has it"),
    ("export-limit", STOP, lambda: with_upstream("t1", limits=model.Limits(export_ipv4=1, export_ipv6=10)), seen, "t1 IPv4", "1 allowed, 1 planned"),
    ("export-limit", WARNING, lambda: with_upstream("t1", limits=model.Limits()), seen, "t1 IPv6", "not known"),
    ("import-limit", STOP, lambda: with_upstream("t1", limits=replace(LIMITS, import_ipv4=1_000_000)), seen, "t1 IPv4", "1260000 are needed"),
    ("import-limit", STOP, ready, lambda: seen(received={("peer", 6): 260_000}), "peer IPv6", "it sends 260000"),
    ("prefix-length", STOP, lambda: ready(prefixes=own("198.51.100.0/25")), seen, "198.51.100.0/25", "longer than /24"),
    ("prefix-length", STOP, lambda: ready(prefixes=own("2001:db8:100::/52")), seen, "2001:db8:100::/52", "longer than /48"),
    ("bogons", STOP, lambda: ready(policies=model.Policies(bogons=False)), seen, "imports", "policies.bogons is off"),
    ("rov", WARNING, lambda: ready(policies=model.Policies()), seen, "imports", "every origin is unknown"),
    ("rov", WARNING, lambda: ready(policies=model.Policies(rov="off")), seen, "imports", "policies.rov is off"),
    ("first-as", STOP, lambda: ready(policies=model.Policies(first_as=False)), seen, "imports", "pass for another"),
    ("filters-proven", STOP, ready, lambda: seen(cases=(Case("out_t1_ipv4", "9.9.9.0/24", "a route of somebody else", False, True),)), "out_t1_ipv4", "somebody else 9.9.9.0/24 passes"),
    ("anti-spoof", STOP, ready, lambda: seen(outbound={**seen().outbound, ("t1", 4): Probe(50, 0)}), "t1 IPv4", "none answered"),  # type: ignore[dict-item]
    ("anti-spoof", WARNING, ready, lambda: seen(outbound={**seen().outbound, ("t1", 6): Probe(50, 49)}), "t1 IPv6", "49 of 50"),  # type: ignore[dict-item]
    ("timers", STOP, lambda: with_upstream("t1", bfd=BFD, timers=model.Timers(30, 5, 120)), seen, "t1", "a real cut lasts 120 s"),
    ("timers", STOP, lambda: with_upstream("t1", timers=model.Timers(240)), seen, "t1", "hold time of 240 s"),
    ("timers", STOP, lambda: with_upstream("t1", timers=model.Timers(0)), seen, "t1", "for ever with 0"),
    ("timers", STOP, lambda: with_upstream("t1", timers=model.Timers(2)), seen, "t1", "0 or 3 and more"),
    ("timers", WARNING, lambda: with_upstream("t1", bfd=model.Bfd(10, 3)), seen, "t1", "after 30 ms"),
    ("filter-list", STOP, ready, lambda: seen(lists={("peer", 4): ("9.9.9.0/24",), ("peer", 6): ()}), "peer IPv6", "an empty list never becomes a filter"),
    ("filter-list", STOP, lambda: with_upstream("peer", filters=None), seen, "peer IPv4", "without an as-set"),
    ("session-restarts", STOP, ready, lambda: seen(restarts=("hp", "t1")), "the change", "hp, t1 would start again at once"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "result", "wanted", "looked", "subject", "evidence"),
    FAILING,
    ids=[f"{row[0]}: {row[5]}" for row in FAILING],
)
def test_a_check_fails_by_name_with_its_evidence_and_what_to_do(
    check: str,
    result: Result,
    wanted: Callable[[], model.Intent],
    looked: Callable[[], Evidence],
    subject: str,
    evidence: str,
) -> None:
    report = preflight.run(wanted(), looked(), only=[check])
    found = [each for each in report.of(result) if subject in each.subject and evidence in each.evidence]
    assert found, str(report)
    assert all(each.check == check and each.advice for each in found)


def test_every_check_has_a_failing_example_and_a_title() -> None:
    assert {row[0] for row in FAILING} == {each.name for each in preflight.CHECKS}
    assert all(each.title.endswith(".") for each in preflight.CHECKS)


def test_after_the_migration_the_old_origin_is_not_asked_for() -> None:
    report = preflight.run(ready(), seen(origins=origins({NEW}, {NEW})), both_origins=False)
    assert report.is_clear and not {"both-origins", "roa-old-origin"} & {each.check for each in report}


def test_a_check_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InvalidError, match="there is no check 'x'"):
        preflight.run(ready(), seen(), only=["x"])


def test_an_upstream_with_one_family_is_not_asked_for_the_other() -> None:
    found = with_upstream("t1", links=ready().upstreams[1].links[:1], limits=model.Limits(export_ipv4=10))
    report = preflight.run(found, seen())
    assert report.is_clear and not [each for each in report if each.subject == "t1 IPv6"]


def test_a_report_reads_as_a_person_would_tell_it() -> None:
    text = str(preflight.run(ready(), seen(origins=origins({OLD})), only=["route-object"]))
    assert "stop     route-object" in text and "\n         -> file a route object of AS64510 there" in text
    assert text.endswith("1 ok, 0 warning, 1 stop, 0 unknown")


def test_what_a_person_knows_of_a_source_filter_stands_for_a_probe() -> None:
    text = "outbound:\n  t1: { confirmed: 'their NOC, 14:02' }\n  hp: { ipv4: { sent: 25, answered: 25 } }\n"
    known = told.parse(text, ready())
    found = list(preflight.run(ready(), seen(outbound=known), only=["anti-spoof"]))
    assert {(each.subject, each.result, each.evidence) for each in found} == {
        ("t1 IPv4", Result.OK, "confirmed: their NOC, 14:02"),
        ("t1 IPv6", Result.OK, "confirmed: their NOC, 14:02"),
        ("hp IPv4", Result.OK, "25 of 25 answered"),
        ("hp IPv6", Result.UNKNOWN, "no probe was sent"),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("outbound:\n  t11: { confirmed: x }\n", "evidence.yaml:2: outbound.t11: there is no upstream 't11'"),
        ("outbound:\n  t1: { ipv4: { sent: 5 } }\n", "evidence.yaml:2: outbound.t1.ipv4: 'answered' is missing"),
        ("outbound:\n  t1: { ipv4: { sent: 5, answered: 6 } }\n", "6 is not between 0 and 5"),
        ("inbound: {}\n", "there is no such setting"),
    ],
)
def test_a_mistake_in_what_is_known_has_its_line(text: str, said: str) -> None:
    with pytest.raises(InvalidError) as raised:
        told.parse(text, ready())
    assert said in raised.value.message
