"""The way of a migration and its judge: packets and visibility decide."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havre.base.errors import InvalidError
from havre.drivers.bird import read_routes, read_sessions
from havre.network import decide, proof
from havre.network.adopt import Found, adopt, policy_of
from havre.network.decide import Stage, State
from havre.network.judge import Seen, Wanted, judge
from havre.network.tables import Evidence, Migration
from havre.network.work import wanted_at
from tests.decide.network_rig import example, parsed

P = "198.51.100.0/24"
FLIP = Wanted({P: frozenset({64500, 64510})}, {P: frozenset({64510})})


def test_the_way_has_a_stage_for_each_that_joins() -> None:
    way = [str(each) for each in decide.stages(parsed(example()))]
    assert way == [
        "DRAFT", "REGISTERED", "PROPAGATED", "SHADOW", "FLIPPED", "MULTI(1)", "MULTI(2)", "MULTI(3)", "CLEANED",
    ]  # fmt: skip


def test_each_stage_has_one_before_and_one_after() -> None:
    tree = parsed(example())
    way = decide.stages(tree)
    assert decide.preceding(tree, way[0]) is None and decide.following(tree, way[-1]) is None
    for one, two in itertools.pairwise(way):
        assert decide.following(tree, one) == two and decide.preceding(tree, two) == one


@pytest.mark.parametrize("text", ["", "MULTI", "MULTI(0)", "MULTI(4)", "MULTI(x)", "shadow", "DONE"])
def test_what_is_no_stage_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        decide.stage_named(parsed(example()), text)


def test_one_upstream_joins_at_a_time_and_on_trial_first() -> None:
    tree = parsed(example())
    before = decide.posture(tree, Stage(State.FLIPPED))
    for number in (1, 2, 3):
        trial = decide.posture(tree, Stage(State.MULTI, number), is_trial=True)
        after = decide.posture(tree, Stage(State.MULTI, number))
        changed = [name for name, tie in trial.ties.items() if tie != before.ties[name]]
        assert changed == [f"t{number}"] and trial.ties[changed[0]].is_drained
        assert not after.ties[changed[0]].is_drained
        before = after


@pytest.mark.parametrize(
    ("origin", "word"), [(64500, "waiting"), (64510, "well"), (None, "failed"), (64666, "failed"), (0, "failed")]
)
def test_visibility_decides(origin: int | None, word: str) -> None:
    assert judge(Seen({("far", P): origin}), FLIP).word == word


def test_a_looking_glass_that_is_silent_makes_us_wait_and_never_turn_back() -> None:
    seen = Seen({("far", P): 64510, ("other", P): None}, silent=frozenset({"other"}))
    assert judge(seen, FLIP).word == "waiting"


def test_lost_packets_turn_us_back_although_all_is_visible() -> None:
    assert judge(Seen({("far", P): 64510}, lost={"out-4": 3}), FLIP).word == "well"
    verdict = judge(Seen({("far", P): 64510}, lost={"out-4": 4}), FLIP)
    assert verdict.word == "failed" and "out-4" in verdict.why


@given(
    origins=st.dictionaries(st.sampled_from("abc"), st.sampled_from([None, 0, 64500, 64510, 1]), min_size=1),
    silent=st.sets(st.sampled_from("abc")),
    lost=st.integers(0, 10),
)
def test_well_means_that_everybody_sees_the_new_origin_and_nothing_is_lost(origins, silent, lost) -> None:
    seen = Seen({(name, P): origin for name, origin in origins.items()}, frozenset(silent), {"in-6": lost})
    if judge(seen, FLIP).word == "well":
        assert not silent and lost <= FLIP.tolerated and set(origins.values()) == {64510}


def test_both_origins_are_right_inside_the_window_alone() -> None:
    tree = parsed(example())
    assert wanted_at(tree, Stage(State.FLIPPED)).origins[P] == {64500, 64510}
    assert wanted_at(tree, Stage(State.MULTI, 1)).origins[P] == {64510}
    assert wanted_at(tree, Stage(State.PROPAGATED)).until[P] == {64500}


def test_a_provider_that_withdraws_too_early_is_not_helped_by_our_silence() -> None:
    """At SHADOW our announcement can only help: either origin will do, and no loss turns it back."""
    wanted = wanted_at(parsed(example()), Stage(State.SHADOW))
    assert wanted.until[P] == {64500, 64510}
    assert judge(Seen({("far", P): 64510}, lost={"in-4": 5000}), wanted).word == "well"


AUT_NUM = """\
aut-num:    AS64510
import:     from AS64501 accept ANY   # the main one
import:     from AS64700
+           accept AS-SEVEN
mp-import:  afi ipv6.unicast from AS64701 accept AS-EIGHT
export:     to AS64501 announce AS64510
"""


def test_an_aut_num_says_who_is_a_transit() -> None:
    assert policy_of(AUT_NUM) == {64501: "ANY", 64700: "AS-SEVEN", 64701: "AS-EIGHT"}


PROTOCOLS = """\
Name       Proto      Table      State  Since         Info
device1    Device     ---        up     10:00:00.000
transit_v4 BGP        ---        up     10:00:00.000  Established
  BGP state:          Established
    Neighbor address: 10.0.2.2
    Neighbor AS:      64501
    Local AS:         64510
    Neighbor ID:      10.100.2.1
    Source address:   10.0.2.1
    Hold timer:       27.1/30
    Keepalive timer:  3.1/10
  Channel ipv4
    State:          UP
    Routes:         900000 imported, 1 exported, 800000 preferred
t_v6       BGP        ---        start  10:00:00.000  Active        Socket: Connection refused
  BGP state:          Active
    Neighbor address: fd00:2::2
    Neighbor AS:      64501
    Local AS:         64510
    Last error:       Socket: Connection refused
"""


def test_sessions_are_read_with_their_numbers() -> None:
    found = read_sessions(PROTOCOLS)
    up, down = found["transit_v4"], found["t_v6"]
    assert up.is_established and (up.imported, up.exported) == (900000, 1)
    assert (up.neighbor, up.neighbor_asn, up.local_asn, up.source, up.hold_s) == (
        "10.0.2.2",
        64501,
        64510,
        "10.0.2.1",
        30,
    )
    assert not down.is_established and "refused" in down.error


def test_what_is_adopted_says_what_it_does_not_know() -> None:
    sessions = tuple(each for each in read_sessions(PROTOCOLS).values() if each.kind == "BGP")
    text = adopt(Found("10.255.0.1", sessions, {"transit_v4": (P,)}), edge="par1", site="paris", aut_num=AUT_NUM)
    assert "asn: 64510" in text and f'prefix: "{P}"' in text
    assert "kind: transit # aut-num: accept ANY" in text
    assert "no IPv6 prefix is announced today" in text


ROUTES = """\
Table master4:
198.51.100.0/24      unicast [hp_ipv4 10:00:00.000] * (100) [AS64510i]
\tvia 10.100.1.1 on hp
\tType: BGP univ
\tBGP.origin: IGP
\tBGP.as_path: 64500 64510 64510
\tBGP.local_pref: 100
\tBGP.large_community: (64510, 3, 1)
                     unreachable [view 10:00:00.000] (200)
"""


def test_routes_are_read_the_best_first() -> None:
    best, other = read_routes(ROUTES)
    assert best.is_best and best.path == (64500, 64510, 64510) and best.origin == 64510
    assert best.large_communities == ("64510, 3, 1",) and best.next_hop == "10.100.1.1"
    assert other.prefix == "198.51.100.0/24" and other.origin is None


def test_the_proof_has_the_observers_own_words_and_their_moments() -> None:
    migration = Migration("m", "", "FLIPPED", "CLEANED", True, False, "paused", 0, 1_500)
    story = [
        Evidence(1_500, "FLIPPED", "seen", "well for 1.0 s", {"far: show route": "a\nb\n"}),
        Evidence(1_600, "FLIPPED", "reached", "FLIPPED is reached", {}),
    ]
    text = proof.text(migration, story)
    assert "## FLIPPED" in text and "1970-01-01 00:00:01.500 UTC Seen: well for 1.0 s" in text and "  a\n  b\n" in text
