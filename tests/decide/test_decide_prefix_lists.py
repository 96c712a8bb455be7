"""Lists of prefixes, VRPs and origins: what is made shorter or faster says the same as the plain way."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from havre.base.errors import InvalidError
from havre.network.registries import origins, prefixes, vrps
from havre.network.registries.prefixes import Entry
from havre.network.registries.vrps import Vrp

N = ipaddress.ip_network


@st.composite
def networks(draw: Any, family: int = 4) -> Any:
    """Prefixes close together, so that they are halves and parts of each other."""
    length = draw(st.integers(20, 26))
    bits = draw(st.integers(0, 2**6 - 1))
    if family == 4:
        return N((int(ipaddress.ip_address("198.51.96.0")) | bits << 6, length), strict=False)
    return N((int(ipaddress.ip_address("2001:db8::")) | bits << 102, length), strict=False)


def routes(found: Any, up_to: int) -> set[Any]:
    """Every route that the plain list lets pass."""
    return {
        part
        for each in found
        for length in range(each.prefixlen, max(up_to, each.prefixlen) + 1)
        for part in each.subnets(new_prefix=length)
    }


@settings(max_examples=150, deadline=None)
@given(st.lists(networks(), max_size=14), st.sampled_from([0, 24, 26]))
def test_the_short_list_lets_exactly_the_same_routes_pass(found: list[Any], up_to: int) -> None:
    entries = prefixes.aggregate(found, up_to=up_to)
    passing = {
        part
        for each in entries
        for length in range(each.low, each.high + 1)
        for part in each.prefix.subnets(new_prefix=length)
    }
    assert passing == routes(found, up_to)
    assert len(entries) <= max(len(set(found)), 0)
    assert all(Entry.parse(each.bird()) == each for each in entries)


def test_halves_become_a_whole_and_parts_vanish_in_it() -> None:
    halves = [N("203.0.112.0/24"), N("203.0.113.0/24")]
    assert prefixes.aggregate(halves) == (Entry(N("203.0.112.0/23"), 24, 24),)
    assert prefixes.aggregate([*halves, N("203.0.112.0/23")]) == (Entry(N("203.0.112.0/23"), 23, 24),)
    assert prefixes.aggregate([N("203.0.112.0/23"), N("203.0.113.0/24")], up_to=24) == (
        Entry(N("203.0.112.0/23"), 23, 24),
    )
    assert prefixes.aggregate([N("2001:db8::/48"), N("2001:db8:1::/48")]) == (Entry(N("2001:db8::/47"), 48, 48),)


def test_an_entry_is_written_as_each_daemon_reads_it() -> None:
    assert Entry(N("203.0.112.0/23"), 23, 24).bird() == "203.0.112.0/23{23,24}"
    assert Entry(N("203.0.112.0/23"), 23, 24).frr() == "203.0.112.0/23 le 24"
    assert Entry(N("203.0.112.0/22"), 23, 24).frr() == "203.0.112.0/22 ge 23 le 24"
    assert Entry(N("203.0.112.0/23"), 23, 23).frr() == "203.0.112.0/23"


def test_a_prefix_passes_by_its_place_and_length() -> None:
    entries = (Entry(N("203.0.112.0/22"), 23, 24),)
    passing = {
        text: prefixes.allows(entries, N(text))
        for text in ("203.0.112.0/22", "203.0.113.0/24", "203.0.116.0/24", "2001:db8::/32")
    }
    assert passing == {"203.0.112.0/22": False, "203.0.113.0/24": True, "203.0.116.0/24": False, "2001:db8::/32": False}


@pytest.mark.parametrize("text", ["203.0.113.0/24{25,24}", "203.0.113.0/24{20,24}", "x", "203.0.113.0/24{a,b}"])
def test_what_is_no_entry_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Entry.parse(text)


@st.composite
def payloads(draw: Any, family: int) -> Vrp:
    prefix = draw(networks(family))
    return Vrp(prefix, draw(st.integers(prefix.prefixlen, 27)), draw(st.integers(0, 3)))


def plain(found: Any, prefix: Any, origin: int) -> origins.State:
    """RFC 6811, section 2, as it is written."""
    covering = [each for each in found if each.prefix.version == prefix.version and prefix.subnet_of(each.prefix)]
    if any(each.asn == origin != 0 and prefix.prefixlen <= each.max_length for each in covering):
        return origins.State.VALID
    return origins.State.INVALID if covering else origins.State.UNKNOWN


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from([4, 6]))
def test_the_table_judges_origins_as_the_rfc_says(data: Any, family: int) -> None:
    found = data.draw(st.lists(payloads(family), max_size=12))
    gone = data.draw(st.lists(st.sampled_from(found), max_size=6)) if found else []
    table = vrps.table(found)
    for each in gone:
        table.withdraw(*vrps.record(each))
    left = {each for each in found if each not in gone}
    assert {(v.prefix, v.max_length, v.asn) for v in table} == {(v.prefix, v.max_length, v.asn) for v in left}
    assert len(table) == len(left)
    prefix, origin = data.draw(networks(family)), data.draw(st.integers(0, 3))
    verdict = origins.validate(table, prefix, origin)
    assert verdict.state == origins.state(table, family, vrps.key(prefix), origin) == plain(left, prefix, origin)


ROUTE = N("198.51.100.0/24")


@pytest.mark.parametrize(
    ("found", "origin", "state", "told"),
    [
        ([], 64510, "unknown", "no ROA covers it"),
        ([Vrp(ROUTE, 24, 64510)], 64510, "valid", "198.51.100.0/24 by AS64510"),
        ([Vrp(ROUTE, 24, 64500)], 64510, "invalid", "covered by 198.51.100.0/24 by AS64500"),
        ([Vrp(N("198.51.96.0/20"), 20, 64510)], 64510, "invalid", "198.51.96.0/20 by AS64510"),
        ([Vrp(N("198.51.96.0/20"), 24, 64510)], 64510, "valid", "up to /24"),
        ([Vrp(ROUTE, 24, 64500), Vrp(ROUTE, 24, 64510)], 64510, "valid", "by AS64510"),
        ([Vrp(ROUTE, 24, 0)], 0, "invalid", "by AS0"),
        ([Vrp(N("0.0.0.0/0"), 32, 64510)], 64510, "valid", "up to /32"),
    ],
)
def test_a_verdict_has_its_evidence(found: list[Vrp], origin: int, state: str, told: str) -> None:
    verdict = origins.validate(vrps.table(found), ROUTE, origin)
    assert verdict.state == state and told in str(verdict)


def test_announced_twice_and_withdrawn_unknown_are_told() -> None:
    table = vrps.table([Vrp(ROUTE, 24, 64510), Vrp(ROUTE, 24, 64500)])
    record = vrps.record(Vrp(ROUTE, 24, 64510))
    assert table.announce(*record) is False and len(table) == 2
    assert table.withdraw(*record) is True and table.withdraw(*record) is False and not table.has(*record)
    assert [each.asn for each in table] == [64500]


RPKI_CLIENT = {
    "metadata": {"buildmachine": "x"},
    "roas": [{"asn": 64510, "prefix": "198.51.100.0/24", "maxLength": 24, "ta": "lab", "expires": 1}],
}
ROUTINATOR = {"roas": [{"asn": "AS64510", "prefix": "198.51.100.0/24", "maxLength": 24, "ta": "lab"}]}
FORT = "ASN,Prefix,Max prefix length\nAS64510,198.51.100.0/24,24\n"
RPKI_CLIENT_CSV = "ASN,IP Prefix,Max Length,Trust Anchor,Expires\nAS64510,198.51.100.0/24,24,lab,1700000000\n"


@pytest.mark.parametrize("text", [json.dumps(RPKI_CLIENT), json.dumps(ROUTINATOR), FORT, RPKI_CLIENT_CSV])
def test_the_documents_of_all_validators_say_the_same(text: str) -> None:
    (found,) = vrps.parse(text)
    assert (found.prefix, found.max_length, found.asn) == (ROUTE, 24, 64510)
    assert vrps.parse(vrps.document([found])) == (Vrp(ROUTE, 24, 64510, found.trust_anchor or "havre"),)


def test_what_is_over_is_left_out_where_the_document_says_until_when() -> None:
    text = json.dumps(RPKI_CLIENT)  # expires one second after the epoch
    assert len(vrps.parse(text)) == len(vrps.parse(text, now_ms=999)) == 1 and vrps.parse(text, now_ms=1001) == ()
    assert len(vrps.parse(json.dumps(ROUTINATOR), now_ms=10**15)) == 1


BAD = [
    ("", "neither JSON nor"),
    ("{", "is not JSON"),
    ("[" * 100_000, "is not JSON"),
    ("{}", "no list `roas`"),
    ('{"roas": [1]}', r"roas\[0\]"),
    ('{"roas": [{"asn": 1}]}', "a prefix and an asn"),
    ('{"roas": [{"asn": "x", "prefix": "10.0.0.0/8"}]}', "is not a VRP"),
    ('{"roas": [{"asn": 1, "prefix": "10.0.0.1/8"}]}', "is not a VRP"),
    ('{"roas": [{"asn": 1, "prefix": "10.0.0.0/8", "maxLength": 7}]}', "maxLength 7 does not fit"),
    ('{"roas": [{"asn": 1, "prefix": "10.0.0.0/8", "maxLength": 33}]}', "maxLength 33 does not fit"),
    ('{"roas": [{"asn": 4294967296, "prefix": "10.0.0.0/8"}]}', "not an autonomous system"),
    ("ASN,Prefix,Max prefix length\nAS1\n", "line 2"),
]


@pytest.mark.parametrize(("text", "match"), BAD, ids=[row[1] for row in BAD])
def test_a_document_that_is_wrong_anywhere_is_refused_with_the_place(text: str, match: str) -> None:
    with pytest.raises(InvalidError, match=match):
        vrps.parse(text)


@given(st.one_of(st.binary(max_size=100), st.text(max_size=100)))
def test_no_document_crashes_the_reader(text: str | bytes) -> None:
    try:
        vrps.parse(text)
    except InvalidError as error:
        assert error.message
