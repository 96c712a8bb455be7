"""The generated configurations: golden files, and what may never be in them."""

from __future__ import annotations

import os
import re

import pytest

from havre.base.errors import InvalidError
from havre.network import decide, engines
from havre.network.engines.facts import probe_table
from tests.decide.network_rig import GOLDEN, LISTS, example, parsed, with_peers

CASES = [
    ("par1-draft", example, "par1", "DRAFT"),
    ("par1-shadow", example, "par1", "SHADOW"),
    ("par1-multi-1", example, "par1", "MULTI(1)"),
    ("lyo1-settled", example, "lyo1", ""),
    ("lyo1-exchange", with_peers, "lyo1", ""),
    ("lil1-peer", with_peers, "lil1", ""),
]


def render(content: str, edge: str, stage: str) -> str:
    tree = parsed(content)
    posture = decide.posture(tree, decide.stage_named(tree, stage)) if stage else decide.settled(tree)
    return engines.render(tree, tree.edge(edge), posture, LISTS)


@pytest.mark.parametrize(("name", "content", "edge", "stage"), CASES, ids=[each[0] for each in CASES])
def test_the_configuration_is_the_golden_one(name: str, content, edge: str, stage: str) -> None:
    text, file = render(content(), edge, stage), GOLDEN / f"{name}.conf"
    if os.environ.get("HAVRE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text(), "if this is meant: HAVRE_GOLDEN=1 pytest, and read the difference"


@pytest.mark.parametrize(
    "stage", ["DRAFT", "REGISTERED", "PROPAGATED", "SHADOW", "FLIPPED", "MULTI(1)", "MULTI(3)", "CLEANED"]
)
def test_nothing_but_our_own_prefixes_is_ever_told_outside(stage: str) -> None:
    tree = parsed(example())
    for edge in tree.edges:
        text = render(example(), edge.name, stage)
        for name in re.findall(r"^protocol bgp up_(\S+) ", text, re.M):
            told = re.search(rf"^filter out_{name} \{{\n(.*?)^\}}", text, re.M | re.S)
            assert told is not None
            conditions = re.findall(r"^  if (.*) then \{", told[1], re.M)
            assert all(each.startswith('proto = "own_ipv') and "net ~ OWN_IPV" in each for each in conditions)
            assert told[1].rstrip().endswith("reject;")


def test_a_peer_without_a_list_is_a_hard_stop() -> None:
    tree = parsed(with_peers())
    for lists in ({}, {**LISTS, ("ix", 4): ()}):
        with pytest.raises(InvalidError, match="an empty list never becomes a filter"):
            engines.render(tree, tree.edge("lyo1"), decide.settled(tree), lists)


def test_an_upstream_that_has_not_joined_has_no_session() -> None:
    assert "protocol bgp up_t1" not in render(example(), "par1", "FLIPPED")
    assert "protocol bgp up_hp_ipv6" in render(example(), "par1", "FLIPPED")
    assert "protocol bgp up_" not in render(example(), "par1", "DRAFT")


def test_the_default_to_the_historical_provider_goes_last() -> None:
    for stage in ("DRAFT", "SHADOW", "MULTI(3)"):
        text = render(example(), "par1", stage)
        assert "protocol static default_ipv4 { ipv4 { preference 50; }; route 0.0.0.0/0 via 10.0.1.2; }" in text
        assert "route ::/0 via fd00:1::2;" in text
    assert "protocol static default_" not in render(example(), "par1", "CLEANED")
    assert "protocol static default_" not in render(example(), "lyo1", "DRAFT")


def test_every_neighbour_has_a_table_for_probes_of_its_own() -> None:
    tree = parsed(example())
    numbers = [probe_table(tree, each.name) for each in tree.upstreams]
    assert len(set(numbers)) == len(numbers)
    for upstream in tree.upstreams:
        assert f"kernel table {probe_table(tree, upstream.name)};" in render(example(), upstream.edge, "DRAFT")


def test_a_silent_flip_tells_the_historical_provider_nothing_and_keeps_its_session() -> None:
    tree = parsed(example())
    posture = decide.posture(tree, decide.stage_named(tree, "SHADOW"), is_silent=True)
    text = engines.render(tree, tree.edge("par1"), posture, {})
    assert "protocol bgp up_hp_ipv4" in text
    assert "filter out_hp_ipv4 {\n  reject;\n}" in text
