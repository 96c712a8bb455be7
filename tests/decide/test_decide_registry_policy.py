"""Policies of an aut-num, objects to be filed, and ROAs."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import replace
from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from havre.base.errors import InvalidError
from havre.drivers.irr import rpsl
from havre.network import model
from havre.network.registries import objects, policy, roas, submissions, vrps
from havre.network.registries.policy import Direction, Relation
from havre.network.registries.vrps import Vrp

AUTNUM = """
aut-num:        AS64510
as-name:        OUR
import:         from AS64500 action pref=50; accept ANY
export:         to AS64500 announce AS64510:AS-OUR
mp-import:      afi ipv6.unicast from AS64500 accept ANY
mp-export:      afi ipv6.unicast to AS64500 announce AS64510:AS-OUR
import:         from AS64501 at 10.0.0.1 action pref=100; from AS64502 action pref=90; accept ANY AND NOT {0.0.0.0/0}
export:         to AS64501 announce AS64510:AS-OUR
mp-import:      afi any.unicast { from AS64503 accept AS64503; from AS64504 accept {10.0.0.0/8^+}; }
mp-export:      afi any to AS64503 announce ANY
import:         from PRNG-X accept ANY
mp-import:      protocol BGP4 into OSPF afi ipv4.multicast from AS64505 accept ANY
import:         from AS64506 accept <^AS64506+$> except { from AS64506 accept NOT {10.0.0.0/8}; }
remarks:        import: from AS1 accept ANY
mnt-by:         OUR-MNT
source:         RIPE
"""


def test_every_neighbour_of_an_aut_num_is_read_in_both_directions_and_families() -> None:
    found = policy.neighbours(rpsl.one(AUTNUM))
    assert list(found) == [64500, 64501, 64502, 64503, 64504, 64505, 64506]
    historical = found[64500]
    assert historical.says(4) and historical.says(6) and historical.relation is Relation.TRANSIT
    assert [each.actions for each in historical.imports] == ["pref=50", ""]
    assert (
        found[64501].imports[0].peering == "AS64501 at 10.0.0.1" and found[64501].says(4) and not found[64501].says(6)
    )
    assert found[64502].imports[0].filter == "ANY AND NOT { 0.0.0.0/0 }"
    assert found[64503].relation is Relation.CUSTOMER and found[64503].imports[0].families == (4, 6)
    assert found[64503].imports[0].is_plain is False and found[64504].imports[0].filter == "{ 10.0.0.0/8^+ }"
    assert found[64505].imports[0].families == ()
    assert found[64506].imports[0].filter == "<^AS64506+$>" and len(found[64506].imports) == 2
    assert [each.peering for each in policy.policies(rpsl.one(AUTNUM)) if not each.asn] == ["PRNG-X"]


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("import", "", "names nobody"),
        ("import", "accept ANY", "names nobody"),
        ("import", "from AS1", "has no `accept`"),
        ("import", "from AS1 accept", "nothing stands behind `accept`"),
        ("export", "to announce ANY", "nobody stands behind `to`"),
        ("import", "to AS1 announce ANY", "names nobody"),
        ("import", "x " * 100_001, "longer than any policy"),
    ],
)
def test_what_is_no_policy_is_refused(name: str, text: str, match: str) -> None:
    with pytest.raises(InvalidError, match=match):
        policy.read(name, text)


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [
                "from",
                "to",
                "accept",
                "announce",
                "AS1",
                "AS-X",
                "{",
                "}",
                ";",
                "afi",
                "ipv6",
                ",",
                "action",
                "except",
                "refine",
                "<^AS1>",
                "<",
                "ANY",
                "or",
            ]
        ),
        max_size=20,
    )
)
@example(["from", ";", "accept", "to"])
def test_no_policy_crashes_the_reader(words: list[str]) -> None:
    for name in ("import", "mp-export"):
        try:
            found = policy.read(name, " ".join(words))
        except InvalidError as error:
            assert error.message
        else:
            assert all(each.filter and each.peering for each in found)


@given(st.integers(1, 2**32 - 1), st.sampled_from([(4,), (6,), (4, 6)]), st.sampled_from(["ANY", "AS-X"]))
def test_the_lines_that_we_write_are_read_as_they_were_meant(asn: int, families: tuple[int, ...], accept: str) -> None:
    text = "aut-num: AS1\n" + "".join(
        f"{n}: {t}\n" for n, t in policy.lines(asn, families, accept=accept, announce="AS-US")
    )
    (found,) = policy.neighbours(rpsl.one(text)).values()
    assert found.asn == asn and all(found.says(each) == (each in families) for each in (4, 6))
    assert {each.filter for each in found.imports} == {accept} and {each.filter for each in found.exports} == {"AS-US"}
    assert {each.direction for each in (*found.imports, *found.exports)} == set(Direction)


def upstream(name: str, asn: int, kind: str = "transit") -> model.Upstream:
    links = (
        model.Link(IPv4Address("10.0.1.1"), IPv4Address("10.0.1.2")),
        model.Link(ip_address("fd00:1::1"), ip_address("fd00:1::2")),
    )
    return model.Upstream(name, model.UpstreamKind(kind), model.parse_asn(asn), "par1", links)


def intent(**changes: object) -> model.Intent:
    made = model.Intent(
        asn=model.parse_asn(64510),
        prefixes=(
            model.OwnPrefix(model.Prefix.parse("198.51.100.0/24"), model.parse_asn(64500)),
            model.OwnPrefix(model.Prefix.parse("2001:db8:100::/48"), model.parse_asn(64500)),
        ),
        sites=(model.Site("paris", ("par1",)),),
        edges=(model.Edge("par1", "paris", IPv4Address("10.255.0.1"), ()),),
        upstreams=(upstream("hp", 64500, "historical"), upstream("t1", 64501)),
        registry=model.Registry("AS64510:AS-OUR", "OUR-MNT", "RIPE", "noc@example.net"),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def known(*texts: str) -> submissions.Known:
    found = [each for text in texts for each in rpsl.objects(text)]
    return {(each.kind, objects.key(each)): each for each in found}


def test_a_migration_files_routes_of_both_families_the_set_and_the_policy() -> None:
    found = submissions.for_registering(intent(), {})
    assert [each.name for each in found] == [
        "create route 198.51.100.0/24AS64510",
        "create route6 2001:db8:100::/48AS64510",
        "create as-set AS64510:AS-OUR",
        "create aut-num AS64510",
    ]
    for each in found:
        objects.check(each.object)
        assert rpsl.one("\n".join(submissions.written(each).splitlines()[3:])) == each.object
    said = policy.neighbours(found[3].object)
    assert all(said[asn].says(family) for asn in (64500, 64501) for family in (4, 6))
    assert said[64501].exports[0].filter == "AS64510:AS-OUR"


SET = "as-set: AS64510:AS-OUR\ndescr: ours # mind\nmembers: AS64999, AS64998\nadmin-c: A\ntech-c: A\nmnt-by: OUR-MNT\nsource: RIPE\n"


def test_what_is_there_already_is_not_filed_again_and_what_is_modified_keeps_all_it_had() -> None:
    first = submissions.for_registering(intent(), {})
    everything = {(each.object.kind, objects.key(each.object)): each.object for each in first}
    assert submissions.for_registering(intent(), everything) == ()
    half = submissions.for_registering(intent(), known(SET, AUTNUM))
    modified = {each.object.kind: each for each in half if each.action is submissions.Action.MODIFY}
    assert modified["as-set"].object.words("members") == ("AS64999", "AS64998", "AS64510")
    assert "# mind" in submissions.written(modified["as-set"])
    before, after = policy.policies(rpsl.one(AUTNUM)), policy.policies(modified["aut-num"].object)
    assert set(before) < set(after) and policy.neighbours(modified["aut-num"].object)[64501].says(6)
    assert modified["aut-num"].object.first("remarks") == "import: from AS1 accept ANY"


def test_cleaning_takes_the_old_origins_routes_away_and_no_others() -> None:
    old = "route: 198.51.100.0/24\norigin: AS64500\nmnt-by: HP-MNT\nsource: RIPE\n"
    new = "route: 198.51.100.0/24\norigin: AS64510\nmnt-by: OUR-MNT\nsource: RIPE\n"
    (found,) = submissions.for_cleaning(intent(), known(old, new))
    assert found.name == "delete route 198.51.100.0/24AS64500" and found.who == "HP-MNT"
    assert "delete:         AS64500 announces 198.51.100.0/24 no more" in submissions.written(found)


def test_members_leave_a_set_without_the_others() -> None:
    left = objects.without_members(rpsl.one(SET), ["as64999"])
    assert left.words("members") == ("AS64998",) and left.first("source") == "RIPE"
    assert objects.without_members(left, ["AS64998"]).words("members") == ()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("route: 2001:db8::/32\norigin: AS1\nmnt-by: M\nsource: R\n", "not of IPv4"),
        ("route: 10.0.0.1/8\norigin: AS1\nmnt-by: M\nsource: R\n", "not a prefix"),
        ("route: 10.0.0.0/8\norigin: 1\nmnt-by: M\nsource: R\n", "not an autonomous system"),
        ("route: 10.0.0.0/8\norigin: AS1\n", "mnt-by is missing; source is missing"),
        ("as-set: OUR\nadmin-c: A\ntech-c: A\nmnt-by: M\nsource: R\n", "not the name of a set"),
        ("as-set: AS-OUR\nmembers: 10.0.0.0/8\nadmin-c: A\ntech-c: A\nmnt-by: M\nsource: R\n", "not a member"),
        ("aut-num: AS-X\nas-name: X\nadmin-c: A\ntech-c: A\nmnt-by: M\nsource: R\n", "not an autonomous system"),
        ("mntner: X-MNT\n", "admin-c is missing"),
    ],
)
def test_an_object_that_a_registry_would_refuse_is_refused_before(text: str, match: str) -> None:
    with pytest.raises(InvalidError, match=match):
        objects.check(rpsl.one(text))


OUR4, OUR6 = ipaddress.ip_network("198.51.100.0/24"), ipaddress.ip_network("2001:db8:100::/48")


def test_both_origins_have_their_roas_until_the_migration_is_done() -> None:
    assert [str(each) for each in roas.wanted(intent())] == [
        "198.51.100.0/24 maxLength 24 AS64510",
        "198.51.100.0/24 maxLength 24 AS64500",
        "2001:db8:100::/48 maxLength 48 AS64510",
        "2001:db8:100::/48 maxLength 48 AS64500",
    ]
    assert {each.asn for each in roas.wanted(intent(), both_origins=False)} == {64510}


def test_the_roas_there_are_are_compared_with_those_that_should_be() -> None:
    there = [
        Vrp(OUR4, 24, 64500),
        Vrp(OUR4, 25, 64510),
        Vrp(ipaddress.ip_network("198.51.96.0/20"), 20, 0),
        Vrp(ipaddress.ip_network("198.51.0.0/16"), 16, 64999),
        Vrp(ipaddress.ip_network("203.0.113.0/24"), 24, 64999),
    ]
    plan = roas.compare(roas.wanted(intent()), vrps.table(there))
    assert {(each.prefix, each.asn) for each in plan.missing} == {(OUR6, 64510), (OUR6, 64500)}
    assert plan.loose == (there[1],) and plan.nobody == (there[2],) and plan.others == (there[3],)
    done = roas.compare(
        roas.wanted(intent(), both_origins=False),
        vrps.table([Vrp(OUR4, 24, 64510), Vrp(ipaddress.ip_network("198.51.96.0/20"), 24, 64510)]),
    )
    assert done.superfluous == (Vrp(ipaddress.ip_network("198.51.96.0/20"), 24, 64510),)
    told = json.loads(roas.krill(plan, remove=plan.loose))
    assert {"asn": 64510, "prefix": "2001:db8:100::/48", "max_length": 48} in told["added"]
    assert told["removed"] == [{"asn": 64510, "prefix": "198.51.100.0/24", "max_length": 25}]
