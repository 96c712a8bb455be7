from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havre.base.errors import InvalidError
from havre.base.ids import AppId, OwnerId
from havre.drivers import caddy
from havre.edge import model
from havre.edge.decide import (
    SPELL_QUIET_S,
    at_once,
    decide_routes,
    decide_spell,
    free_port,
    spread_slots,
    wanted_entries,
)
from havre.edge.model import LINKS, Domain, Drop, Key, Name, Presence, Put, Redirection, Served, Step, parse_name

DOMAIN = Domain("havre.localhost", 70)
names = st.sampled_from(["a.test.sock", "b.test.sock", "b.test/api.sock", "_.c.test.sock"])
apps = st.sampled_from(["app_1", "app_2", "app_3"])
doors = st.sets(st.sampled_from(["1-0.sock", "1-1.sock", "2-0.sock", "2-1.sock", "2-2.sock"])).map(
    lambda found: tuple(sorted(found))
)
served = st.dictionaries(names, st.tuples(apps, st.booleans(), st.booleans())).map(
    lambda table: [Served(name, app, forced, sticky) for name, (app, forced, sticky) in table.items()]
)
presences = st.builds(Presence, st.frozensets(apps), st.dictionaries(apps, doors), st.frozensets(apps))
redirections = st.dictionaries(st.integers(5001, 5009), apps).map(
    lambda table: [Redirection(port, "default", AppId(app), OwnerId("orga_1"), 0) for port, app in table.items()]
)
SLOTS = ("80", "8f", "b3", "bf")
tables = st.tuples(served, presences, redirections).map(
    lambda found: wanted_entries(found[0], found[1], redirections=found[2], slots=SLOTS)
)
trees = st.sampled_from(["force-https", "routes", "known", "down", "sticky", "s", "slots", "tcp"])
any_tables = st.dictionaries(st.builds(Key, trees, names), apps | st.just("") | st.just("?"))


def replay(seen: Mapping[Key, str], steps: tuple[Step, ...]) -> dict[Key, str]:
    now = dict(seen)
    for step in steps:
        match step:
            case Put(key, value):
                now[key] = value
            case Drop(key):
                del now[key]
    return now


@given(wanted=tables, seen=any_tables)
def test_the_steps_reach_what_is_wanted_from_anywhere_and_rest_there(
    wanted: dict[Key, str], seen: dict[Key, str]
) -> None:
    assert replay(seen, decide_routes(wanted, seen)) == wanted
    assert decide_routes(wanted, wanted) == ()


@given(wanted=tables, seen=tables)
def test_no_cut_breaks_a_name_that_stays_or_leaves_one_without_a_route(
    wanted: dict[Key, str], seen: dict[Key, str]
) -> None:
    steps = decide_routes(wanted, seen)
    for cut in range(len(steps) + 1):
        now = replay(seen, steps[:cut])
        assert wanted.keys() & seen.keys() <= now.keys()
        for key in now:
            if key.tree == "sticky":  # a flag that says so, and nowhere to go, would be an error for a visitor
                assert Key("s", key.name) in now and Key("routes", key.name) in now
        for key in now:
            if key.tree == "known":
                route = now[Key("routes", key.name)]
                assert route in (wanted.get(Key("routes", key.name)), seen.get(Key("routes", key.name)))
            if key.tree == "known" and Key("force-https", key.name) in wanted:
                was_served = Key("known", key.name) in seen
                assert was_served or Key("force-https", key.name) in now


hosts = st.dictionaries(st.sampled_from(["a.test.sock", "b.test.sock"]), st.tuples(apps, st.booleans())).map(
    lambda table: [
        Served(name, app, is_sticky=sticky, mark="=", is_plain=True) for name, (app, sticky) in table.items()
    ]
)


@given(st.lists(st.tuples(hosts, presences), min_size=1, max_size=5))
def test_at_no_step_is_a_host_led_at_once_to_another_app_than_has_it(
    times: list[tuple[list[Served], Presence]],
) -> None:
    """Nor while connections of before may be open: what was led once is led nowhere else meanwhile."""
    now: dict[Key, str] = {}
    for served, presence in times:
        led = {key.name: app for key, app in now.items() if key.tree == "k"}
        before = {key.name: app for key, app in now.items() if key.tree == "routes"}
        wanted = wanted_entries(served, presence, slots=SLOTS)
        steps = decide_routes(wanted | at_once(served, presence, now, is_whole=False), now)
        for cut in range(1, len(steps) + 1):
            midway = replay(now, steps[:cut])
            for key, app in midway.items():
                if key.tree == "k" and Key("long", key.name) not in midway:
                    assert app == midway.get(Key("routes", key.name)) or app == before.get(key.name)
                    assert app == led.get(key.name, app)
                if key.tree == "routes" and before.get(key.name, app) != app:
                    assert Key("long", key.name) in midway or midway.get(Key("k", key.name)) in (None, app)
        now = replay(now, steps)
        for each in served:
            if Key("long", each.name) not in now:
                assert now[Key("k", each.name)] == each.app_id and not each.is_sticky


def test_where_nothing_of_an_app_lives_its_host_can_be_led_to_another() -> None:
    host, here = "a.test.sock", {"app_2": ("1-0.sock",)}
    served, seen = [Served(host, "app_2", mark="=", is_plain=True)], {Key("k", host): "app_1", Key("long", host): ""}
    lives = Presence(frozenset({"app_1"}), here)
    assert at_once(served, lives, seen, is_whole=True) == seen
    assert at_once(served, Presence(accepting=here), seen, is_whole=False) == seen, "of app_1 nothing is known"
    assert at_once(served, Presence(accepting=here), seen, is_whole=True) == {Key("k", host): "app_2"}
    assert at_once([], Presence(), seen, is_whole=True) == {}


def test_a_host_with_prefixes_and_a_wildcard_are_not_led_at_once() -> None:
    presence = Presence(accepting={"app_1": ("1-0.sock",)})
    served = [Served("b.test/api.sock", "app_1", mark="@"), Served("_.c.test.sock", "app_1", mark="@")]
    assert at_once(served, presence, {}, is_whole=True) == {Key("long", "b.test.sock"): ""}


@pytest.mark.parametrize(
    ("presence", "is_down"),
    [
        (Presence(), True),  # stopped, or never there
        (Presence(listening=frozenset({"app_1"})), False),  # it starts: visitors wait
        (Presence(listening=frozenset({"app_1"}), given_up=frozenset({"app_1"})), True),
        (Presence(frozenset({"app_1"}), {"app_1": ("1-0.sock",)}, frozenset({"app_1"})), False),
        (Presence(frozenset({"app_1"}), {"app_1": ()}), False),
    ],
)
def test_who_starts_is_waited_for_and_who_was_given_up_is_down(presence: Presence, is_down: bool) -> None:
    entries = wanted_entries([Served("a.sock", "app_1")], presence)
    assert (Key("down", "a.sock") in entries) is is_down


def all_slots() -> tuple[str, ...]:
    return caddy.STICKY_SLOTS


@given(st.integers(1, 40), st.integers(1, 40))
def test_slots_are_spread_evenly_over_the_newest_generation_and_few_move(before: int, after: int) -> None:
    old = spread_slots([f"3-{number}.sock" for number in range(before)], all_slots())
    both = [*(f"3-{number}.sock" for number in range(before)), *(f"4-{number}.sock" for number in range(after))]
    new = spread_slots(both, all_slots())
    if after < 2:
        assert new == {}, "one instance needs no slots"
        return
    counts = [list(new.values()).count(f"4-{number}.sock") for number in range(after)]
    assert set(new) == set(all_slots()) and max(counts) <= -(-64 // after)
    if before == after:
        assert {slot: door[2:] for slot, door in old.items()} == {slot: door[2:] for slot, door in new.items()}


def test_one_instance_more_moves_about_its_own_share() -> None:
    for count in (2, 3, 5, 8):
        old = spread_slots([f"1-{number}.sock" for number in range(count)], all_slots())
        new = spread_slots([f"1-{number}.sock" for number in range(count + 1)], all_slots())
        moved = [slot for slot in old if old[slot] != new[slot]]
        assert len(moved) <= 2 * 64 // (count + 1) + 4


def test_the_lowest_free_port_is_given() -> None:
    assert free_port({5001, 5002, 5004}, first=5001, last=5009) == 5003
    assert free_port({5001}, first=5001, last=5001) is None


def test_every_tree_has_a_place_in_the_order() -> None:
    from typing import get_args

    from havre.edge import decide
    from havre.edge.model import Tree

    assert set(decide._ORDER) == set(get_args(Tree)) and set(get_args(Tree)) >= LINKS


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("WWW.Example.com", Name("www.example.com")),
        ("www.example.com.", Name("www.example.com")),
        ("www.example.com/", Name("www.example.com")),
        ("www.example.com/Api/v1/", Name("www.example.com", "Api/v1")),
        ("*.example.com", Name("*.example.com")),
        ("*.example.com/api", Name("*.example.com", "api")),
        ("shop.havre.localhost", Name("shop.havre.localhost")),
    ],
)
def test_a_name_has_one_form(text: str, name: Name) -> None:
    assert parse_name(text, DOMAIN) == name


@pytest.mark.parametrize(
    "text",
    [
        "", "/", "/api", "shop", "http://www.example.com", "www.example.com:8443", "www..example.com", "-a.example.com",
        "www.example.com/a/b/c/d", "www.example.com/../etc", "www.example.com/a//b", "www.example.com/a b",
        "www.example.com/a.sock", "www.example.sock", "www.example.com/a?b", "*.com", "a.*.com", "*", "10.0.0.1",
        "localhost", "havre.localhost", "api.havre.localhost", "console.havre.localhost", "edge.havre.localhost", "api.havre.localhost/x",
        "*.havre.localhost", "a.b.havre.localhost", f"{'a' * 60}.example.com/api", "w_w.example.com", "é.example.com",
    ],
)  # fmt: skip
def test_what_is_no_name_or_is_reserved_is_invalid(text: str) -> None:
    with pytest.raises(InvalidError, match="is invalid"):
        parse_name(text, DOMAIN)


def test_the_proxy_knows_as_many_segments_as_a_name_may_have() -> None:
    assert model.PREFIX_DEPTH == caddy.PREFIX_DEPTH


@given(counts=st.lists(st.integers(0, 300), max_size=30), every_s=st.sampled_from([10.0, 90.0, 130.0]))
def test_a_spell_begins_with_many_and_ends_only_after_a_quiet_time(counts: list[int], every_s: float) -> None:
    spell, last_many_s = None, None
    for number, stalled in enumerate(counts):
        before, now_s = spell, number * every_s
        spell = decide_spell(spell, stalled, many=100, now_s=now_s)
        if stalled >= (100 if before is None else 50):
            assert spell is not None and spell.many_at_s == now_s and spell.most >= stalled
            last_many_s = now_s
        elif before is None:
            assert spell is None, "few begin none"
        else:
            assert last_many_s is not None
            assert (spell is None) == (now_s - last_many_s >= SPELL_QUIET_S)
