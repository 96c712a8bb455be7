"""FRR's configurations: golden files, and what a change of them does to sessions."""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import replace

import pytest

from havre.base.errors import InvalidError
from havre.network import changes, decide, engines
from havre.network.engines.frr import BOGON_PATHS
from tests.decide.network_rig import GOLDEN, LISTS, example, parsed, with_peers

CASES = [
    ("frr-par1-multi-1", example, "par1", "MULTI(1)"),
    ("frr-lyo1-exchange", with_peers, "lyo1", ""),
]


def texts(content: str, stage: str = "", edges: tuple[str, ...] = ("par1", "lyo1", "lil1")) -> dict[str, str]:
    tree = parsed(content)
    tree = replace(tree, edges=tuple(replace(each, engine="frr") for each in tree.edges))
    posture = decide.posture(tree, decide.stage_named(tree, stage)) if stage else decide.settled(tree)
    return {name: engines.render(tree, tree.edge(name), posture, LISTS) for name in edges}


@pytest.mark.parametrize(("name", "content", "edge", "stage"), CASES, ids=[each[0] for each in CASES])
def test_the_configuration_is_the_golden_one(name: str, content, edge: str, stage: str) -> None:
    text, file = texts(content(), stage, (edge,))[edge], GOLDEN / f"{name}.frr"
    if os.environ.get("HAVRE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text(), "if this is meant: HAVRE_GOLDEN=1 pytest, and read the difference"


def test_a_timer_starts_sessions_again_and_a_preference_does_not() -> None:
    before = texts(example())
    bfd = "bfd: { interval_ms: 100, multiplier: 5 }"
    after = texts(example().replace(bfd, "hold_s: 90"))
    found = changes.change_of("par1", before["par1"], after["par1"])
    assert found.restarted == ("up_hp_ipv4", "up_hp_ipv6", "up_t1_ipv4", "up_t1_ipv6")
    after = texts(example().replace("preference: 120", "preference: 130"))
    found = changes.change_of("par1", before["par1"], after["par1"])
    assert (found.restarted, found.retold) == ((), ("up_t1_ipv4", "up_t1_ipv6"))


def test_a_rollout_ends_where_it_should_and_restarts_one_neighbour_at_a_time() -> None:
    before = texts(example())
    after = texts(example().replace("bfd: { interval_ms: 100, multiplier: 5 }", "hold_s: 90"))
    now, restarted = dict(before), []
    for turn in changes.rollout(before, after):
        found = [changes.change_of(edge, now[edge], text) for edge, text in turn.items()]
        neighbors = {each.rpartition("_ipv")[0] for change in found for each in change.restarted}
        assert len(neighbors) <= 1
        restarted += sorted(neighbors)
        now |= turn
    assert restarted == ["up_hp", "up_t1", "up_t2", "up_t3"]
    assert {name: sorted(text.splitlines()) for name, text in now.items()} == {
        name: sorted(text.splitlines()) for name, text in after.items()
    }


STAGES = ["DRAFT", "SHADOW", "FLIPPED", "MULTI(1)", "MULTI(2)", "MULTI(3)", "CLEANED"]


@pytest.mark.parametrize(("one", "two"), list(itertools.pairwise(STAGES)))
def test_no_arrow_of_a_migration_starts_a_session_again(one: str, two: str) -> None:
    before, after = texts(example(), one), texts(example(), two)
    for way in ((before, after), (after, before)):
        assert all(changes.change_of(each, way[0][each], way[1][each]).restarted == () for each in before)


def test_a_peer_without_a_list_is_a_hard_stop() -> None:
    tree = parsed(with_peers())
    edge = replace(tree.edge("lyo1"), engine="frr")
    with pytest.raises(InvalidError, match="an empty list never becomes a filter"):
        engines.render(tree, edge, decide.settled(tree), {})


@pytest.mark.parametrize(
    ("asn", "is_bogon"),
    [
        (0, True), (23456, True), (64495, False), (64496, True), (64511, True), (64512, True), (65535, True),
        (65536, True), (65551, True), (65552, True), (99999, True), (131071, True), (131072, False), (3320, False),
        (6449, False), (396982, False), (4199999999, False), (4200000000, True), (4294967294, True),
    ],
)  # fmt: skip
def test_the_expressions_of_reserved_numbers_are_those_of_the_registries(asn: int, is_bogon: bool) -> None:
    """`_` of FRR stands for a blank or an end."""
    path = f" 1299 {asn} 3320 "
    assert any(re.search(each.replace("_", "[ ]"), path) for each in BOGON_PATHS) == is_bogon
