"""What a change does to sessions, and the order in which it is brought out."""

from __future__ import annotations

import itertools

import pytest

from havre.network import changes, decide, engines
from havre.network import plan as plans
from tests.decide.network_rig import LISTS, example, parsed

EDGES = ("par1", "lyo1", "lil1")


def texts(content: str, stage: str = "") -> dict[str, str]:
    tree = parsed(content)
    posture = decide.posture(tree, decide.stage_named(tree, stage)) if stage else decide.settled(tree)
    return {each.name: engines.render(tree, each, posture, LISTS) for each in tree.edges}


RESTART = [
    ("bfd: { interval_ms: 100, multiplier: 5 }", "hold_s: 90"),
    ("bfd: { interval_ms: 100, multiplier: 5 }", "bfd: { interval_ms: 50, multiplier: 3 }"),
    ("bfd: { interval_ms: 100, multiplier: 5 }", "graceful_restart_s: 5"),
]
STAY = [
    ("preference: 120", "preference: 130"),
    ("preference: 120", "prepends: 3"),
    ("preference: 120", "limits: { import_ipv4: 5000 }"),
    ("rov: reject", "rov: off"),
]


@pytest.mark.parametrize(("was", "becomes"), RESTART)
def test_timers_bfd_and_graceful_restart_start_sessions_again(was: str, becomes: str) -> None:
    before, after = texts(example()), texts(example().replace(was, becomes))
    assert changes.change_of("par1", before["par1"], after["par1"]).restarted == (
        "up_hp_ipv4", "up_hp_ipv6", "up_t1_ipv4", "up_t1_ipv6",
    )  # fmt: skip


@pytest.mark.parametrize(("was", "becomes"), STAY)
def test_filters_preferences_and_limits_do_not(was: str, becomes: str) -> None:
    before, after = texts(example()), texts(example().replace(was, becomes))
    change = changes.change_of("par1", before["par1"], after["par1"])
    assert change.restarted == ()
    assert {"up_t1_ipv4"} <= set(change.retold)


def test_nothing_is_nothing() -> None:
    same = texts(example())
    assert all(changes.change_of(each, same[each], same[each]).is_nothing for each in EDGES)
    assert changes.rollout(same, same) == ()


@pytest.mark.parametrize(("was", "becomes"), [*RESTART, *STAY])
def test_a_rollout_ends_where_it_should_and_restarts_one_neighbour_at_a_time(was: str, becomes: str) -> None:
    before, after = texts(example()), texts(example().replace(was, becomes))
    now = dict(before)
    for turn in changes.rollout(before, after):
        found = [changes.change_of(edge, now[edge], text) for edge, text in turn.items()]
        neighbors = {each.rpartition("_ipv")[0] for change in found for each in change.restarted}
        assert len(neighbors) <= 1
        now |= turn
    assert now == after


STAGES = ["DRAFT", "SHADOW", "FLIPPED", "MULTI(1)", "MULTI(2)", "MULTI(3)", "CLEANED"]


@pytest.mark.parametrize(("one", "two"), list(itertools.pairwise(STAGES)))
def test_no_arrow_of_a_migration_starts_a_session_again(one: str, two: str) -> None:
    before, after = texts(example(), one), texts(example(), two)
    for way in ((before, after), (after, before)):
        assert all(changes.change_of(each, way[0][each], way[1][each]).restarted == () for each in EDGES)


def test_a_plan_speaks_of_sessions_files_and_neighbours() -> None:
    tree = parsed(example())
    before, after = texts(example(), "FLIPPED"), texts(example(), "MULTI(1)")
    made = plans.plan(tree, decide.settled(tree), before=before, after=after)
    assert "par1: the session with t1 over IPv4 begins" in made.words
    assert "+protocol bgp up_t1_ipv4 {" in made.differences["par1"]
    assert set(made.requests) == {"t1"}
    assert "accept from us 198.51.100.0/24 with origin AS64510" in made.requests["t1"]
    assert made.restarts == ()


def test_a_plan_over_a_foreign_configuration_says_that_it_is_replaced() -> None:
    tree = parsed(example())
    made = plans.plan(tree, decide.settled(tree), before={"par1": "router id 1.2.3.4;\n"}, after=texts(example()))
    assert any("not of our making" in each for each in made.words)


def test_a_plan_names_what_starts_again() -> None:
    tree = parsed(example())
    after = texts(example().replace("bfd: { interval_ms: 100, multiplier: 5 }", "hold_s: 90"))
    made = plans.plan(tree, decide.settled(tree), before=texts(example()), after=after)
    assert made.restarts == ("hp", "t1", "t2", "t3")
    assert made.turns == 4 or made.turns == 5
    assert made.words[-1] == "the sessions with hp, t1, t2, t3 start again, one neighbour after the other"
