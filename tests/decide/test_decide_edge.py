from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havre.base.errors import InvalidError
from havre.drivers import caddy
from havre.edge import model
from havre.edge.decide import decide_routes, wanted_entries
from havre.edge.model import Domain, Drop, Key, Name, Put, Served, Step, parse_name

DOMAIN = Domain("havre.localhost", 70)
names = st.sampled_from(["a.test.sock", "b.test.sock", "b.test/api.sock", "_.c.test.sock"])
apps = st.sampled_from(["app_1", "app_2", "app_3"])
served = st.dictionaries(names, st.tuples(apps, st.booleans())).map(
    lambda table: [Served(name, app, forced) for name, (app, forced) in table.items()]
)
tables = st.tuples(served, st.frozensets(apps)).map(lambda pair: wanted_entries(*pair))
trees = st.sampled_from(["force-https", "routes", "known", "down"])
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
            if key.tree == "known":
                route = now[Key("routes", key.name)]
                assert route in (wanted.get(Key("routes", key.name)), seen.get(Key("routes", key.name)))
            if key.tree == "known" and Key("force-https", key.name) in wanted:
                was_served = Key("known", key.name) in seen
                assert was_served or Key("force-https", key.name) in now


def test_an_app_where_nobody_listens_is_marked_down() -> None:
    entries = wanted_entries([Served("a.sock", "app_1"), Served("b.sock", "app_2")], {"app_1"})
    assert [key.name for key in entries if key.tree == "down"] == ["b.sock"]


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
        "localhost", "havre.localhost", "api.havre.localhost", "console.havre.localhost", "api.havre.localhost/x",
        "*.havre.localhost", "a.b.havre.localhost", f"{'a' * 60}.example.com/api", "w_w.example.com", "é.example.com",
    ],
)  # fmt: skip
def test_what_is_no_name_or_is_reserved_is_invalid(text: str) -> None:
    with pytest.raises(InvalidError, match="is invalid"):
        parse_name(text, DOMAIN)


def test_the_proxy_knows_as_many_segments_as_a_name_may_have() -> None:
    assert model.PREFIX_DEPTH == caddy.PREFIX_DEPTH
