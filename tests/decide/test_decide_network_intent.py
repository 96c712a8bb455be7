"""The reviewed tree: what is right is read, every mistake is told with its line."""

from __future__ import annotations

import pytest

from havre.base.errors import InvalidError
from havre.network import intent
from havre.network.model import Prefix, UpstreamKind, parse_asn
from tests.decide.network_rig import EXAMPLE, example, parsed, with_peers


def test_the_example_is_the_articles_situation() -> None:
    found = intent.load(EXAMPLE)
    assert found.asn == 64510
    assert [each.name for each in found.sites] == ["paris", "lyon", "lille"]
    assert [each.kind for each in found.upstreams] == [UpstreamKind.HISTORICAL] + [UpstreamKind.TRANSIT] * 3
    assert all(each.families == (4, 6) for each in found.upstreams)
    assert {each.old_origin for each in found.prefixes} == {64500}


def test_every_kind_of_upstream_is_read() -> None:
    found = parsed(with_peers())
    assert {each.kind for each in found.upstreams} == set(UpstreamKind)
    assert found.upstream("p1").families == (6,)
    assert found.policies.rtr == "127.0.0.1:8282"


MISTAKES = [
    ("asn: 64510\n", "asn: 0\n", "is not the number of an autonomous system"),
    ("asn: 64510\n", "asn: 64510\nasn: 1\n", "stands twice"),
    ("prefix: 198.51.100.0/24", "prefix: 198.51.100.1/24", "do you mean 198.51.100.0/24?"),
    ("prefix: 198.51.100.0/24", "prefix: 198.51.100.0/25", "nothing longer than /24"),
    ("prefix: 2001:db8:100::/48", "prefix: 2001:db8:100::/49", "nothing longer than /48"),
    ("old_origin: 64500", "old_origin: 64999", "is no upstream of kind historical"),
    ("kind: transit", "kind: transitt", "do you mean 'transit'?"),
    ("    edge: lyo1", "    edge: lyo2", "there is no edge 'lyo2'; do you mean 'lyo1'?"),
    ("neighbor: 10.0.2.2", "neighbor: 10.0.2.300", "is not an IP address"),
    ("neighbor: 10.0.2.2", "neighbor: 10.0.2.1", "both ends have the same address"),
    ("neighbor: 10.0.3.2", "neighbor: 10.0.2.2", "is also the neighbour of t1"),
    (
        '    ipv6: { local: "fd00:3::1", neighbor: "fd00:3::2" }\n',
        "",
        "'ipv6' is missing; a neighbour without it says so",
    ),
    ("preference: 120", "preferense: 120", "do you mean 'preference'?"),
    ("preference: 120", "preference: many", "is not a whole number"),
    ("preference: 120", "preference: 0", "is not between 1 and 4000"),
    ("preference: 120", "graceful_restart_s: 120", "with BFD it is 10 at most"),
    ("preference: 120", "limits: { export_ipv4: 1 }", "want a fifth more"),
    ("  t2:\n", "  T-2:\n", "has a name of small letters"),
    ("  t2:\n", "  t1:\n", "stands twice"),
    ("router_id: 10.255.0.2", "router_id: 10.255.0.1", "is also edge par1's"),
    ("probes: [198.51.100.251,", "probes: [192.0.2.1,", "is in none of our prefixes"),
    ('loopbacks: [10.255.0.2, "fd00:255::2"]', "loopbacks: [10.255.0.2]", "one IPv6 address has to stand here"),
    ("    asn: 64502\n", "    asn: 64510\n", "its number is our own"),
    ("rov: reject", "rov: maybe", "is not one of reject, mark, off"),
    ("kind: transit", "kind: historical", "one is the limit"),
    ("kind: transit", "kind: peer", "'filters' is missing"),
    (
        "policies:",
        "observers: { looking_glasses: [{ name: a }] }\npolicies:",
        "a socket (BIRD's) or a url, and not both",
    ),
    ("policies:", "observers: { looking_glasses: [{ name: a, url: 'ftp://x' }] }\npolicies:", "with {prefix} in it"),
    ("policies:", "observers: { probers: { inside: { addresses: [] } } }\npolicies:", "'outside' is missing"),
    (
        "policies:",
        "observers: { probers: { inside: { addresses: [10.0.0.1, 'fd00::1'] },"
        " outside: { addresses: [10.0.0.2, 'fd00::2'] } } }\npolicies:",
        "sends from 10.0.0.1, which is in none of our prefixes",
    ),
    ("sites:", "sites: [", "this is not YAML"),
]


@pytest.mark.parametrize(("was", "becomes", "said"), MISTAKES, ids=[each[2][:40] for each in MISTAKES])
def test_a_mistake_is_told_with_its_file_and_line(was: str, becomes: str, said: str) -> None:
    before = example()
    assert was in before
    content = before.replace(was, becomes, 1)
    with pytest.raises(InvalidError) as raised:
        parsed(content)
    told = [line for line in raised.value.message.splitlines() if said in line]
    assert told, raised.value.message
    file, line, _ = told[0].split(":", 2)
    assert file == "tree.yaml"
    assert 1 <= int(line) <= content.count("\n") + 1


def test_the_line_is_the_one_of_the_mistake() -> None:
    content = example().replace("preference: 110", "preference: -1")
    with pytest.raises(InvalidError) as raised:
        parsed(content)
    number = next(at for at, line in enumerate(content.splitlines(), 1) if "preference: -1" in line)
    assert raised.value.message.startswith(f"tree.yaml:{number}: upstreams.t2.preference: ")


UNREADABLE = {
    "\b": "tree.yaml:1: a character has no place in YAML: U+0008",
    "asn: 1\n# \ufffe": "tree.yaml:2: a character has no place in YAML: U+FFFE",
    "\ud800": "tree.yaml:1: a character has no place in YAML: U+D800",
    "[" * 20_000: "tree.yaml:1: lists or mappings lie too deep in each other",
    "{a: " * 20_000: "tree.yaml:1: lists or mappings lie too deep in each other",
}


@pytest.mark.parametrize("content", UNREADABLE, ids=[text[-20:] for text in UNREADABLE.values()])
def test_what_no_reader_takes_is_a_mistake_like_any_other(content: str) -> None:
    with pytest.raises(InvalidError) as raised:
        parsed(content)
    assert raised.value.message.startswith(UNREADABLE[content])


def test_all_mistakes_are_told_at_once() -> None:
    content = example().replace("preference: 120", "preference: x").replace("prepends: 2", "prepends: 99")
    with pytest.raises(InvalidError) as raised:
        parsed(content)
    assert len(raised.value.message.splitlines()) == 2


def test_an_installation_without_ipv6_is_refused() -> None:
    content = example().replace("  - prefix: 2001:db8:100::/48\n    old_origin: 64500\n", "")
    with pytest.raises(InvalidError, match="no IPv6 prefix of ours"):
        parsed(content)


@pytest.mark.parametrize("text", ["0", "AS0", "23456", "4294967295", "4294967296", "-1", "", "AS", "1.10", "abc"])
def test_what_no_as_can_have_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        parse_asn(text)


def test_a_prefix_covers_its_parts_alone() -> None:
    wide = Prefix.parse("198.51.100.0/22")
    assert wide.covers(Prefix.parse("198.51.102.0/24"))
    assert not wide.covers(Prefix.parse("198.51.104.0/24"))
    assert not wide.covers(Prefix.parse("2001:db8::/32"))
    assert not Prefix.parse("198.51.102.0/24").covers(wide)
