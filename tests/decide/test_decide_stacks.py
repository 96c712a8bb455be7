"""Which closure apt printed, how stacks are named, what may follow what, and which stacks are collected."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havre.apps import stacks
from havre.apps.decide import STACK_GRACE_MS, Holding, decide_stacks
from havre.apps.runtimes import Plan
from havre.base.errors import InvalidError
from havre.drivers.debian import Closure, Package, differences, may_follow, parse_uris
from havre.drivers.debian.model import check_names

PRINTED = """\
Reading package lists...
'http://deb.example/pool/l/libcap2_2.66-4%2bdeb12u3_amd64.deb' libcap2_1%3a2.66-4+deb12u3_amd64.deb 27708 MD5Sum:1d
'http://deb.example/pool/b/bash_5.2.15-2%2bb13_amd64.deb' bash_5.2.15-2+b13_amd64.deb 1490652 SHA256:aa
'http://deb.example/it's/tzdata_2026f-0_all.deb' tzdata_2026f-0_all.deb 307832
'http://deb.example/odd' not-a-package.tar 1 x
"""


def closure(*packages: str) -> Closure:
    split = [each.partition("=") for each in packages]
    return Closure(tuple(Package(name, version or "1", "amd64") for name, _, version in split))


def test_what_apt_prints_is_read_with_epochs_and_passed_over_where_it_is_no_package() -> None:
    assert parse_uris(PRINTED).packages == (
        Package("bash", "5.2.15-2+b13", "amd64", 1490652),
        Package("libcap2", "1:2.66-4+deb12u3", "amd64", 27708),
        Package("tzdata", "2026f-0", "all", 307832),
    )
    assert [each.file for each in parse_uris(PRINTED).packages][1] == "libcap2_1%3a2.66-4+deb12u3_amd64.deb"
    assert parse_uris("E: Unable to locate package x\n").packages == ()


def test_a_stack_is_named_by_its_packages_and_its_recipe_alone() -> None:
    one = closure("a=1", "b=2")
    assert one.id("r") == Closure(tuple(reversed(one.packages))).id("r")
    assert one.id("r") == Closure(tuple(replace(each, download_bytes=9) for each in one.packages)).id("r")
    others = {one.id("r"), one.id("s"), closure("a=1", "b=3").id("r"), closure("a=1").id("r")}
    assert len(others) == 4


@pytest.mark.parametrize(
    ("old", "new", "follows"),
    [
        (("a=1", "b=1"), ("a=2", "b=1"), True),
        (("libssl3",), ("libssl3", "more"), True),
        (("libssl3", "a"), ("libssl4", "a"), False),
        (("python3=3.11", "python3.11"), ("python3=3.13", "python3.13"), False),
        ((), ("a",), True),
    ],
)
def test_a_release_stays_while_no_package_of_its_stack_is_missing(
    old: tuple[str, ...], new: tuple[str, ...], follows: bool
) -> None:
    assert may_follow(closure(*old), closure(*new)) is follows


def test_differences_name_what_changed_came_and_went() -> None:
    found = differences(closure("a=1", "b=1", "c=1"), closure("a=1", "b=2", "d=1"))
    assert found == ("b: 1 -> 2", "c: 1 -> gone", "d: not there -> 1")


def test_names_are_sorted_once_each_and_nothing_else_is_let_through() -> None:
    assert check_names(("bb", "aa", "bb", "g++", "libstdc++6")) == ("aa", "bb", "g++", "libstdc++6")
    for bad in ("", "-y", "A", "a b", "a/b", "a=1", "a;b", "../a", "bash-"):
        with pytest.raises(InvalidError, match="not the name"):
            check_names((bad,))


def test_the_app_runs_on_less_than_its_build() -> None:
    plan = Plan("x", (), (), "run", packages=("redis-tools",), build_packages=("golang",))
    run, build = set(stacks.run_packages(plan)), set(stacks.build_packages(plan))
    assert "redis-tools" in run < build
    assert "golang" in build - run and {"gcc", "git", "python3"} <= build - run
    assert {"bash", "dash", "ca-certificates"} <= run


DAY = 86_400_000
ids = st.sampled_from("abcdef")
holdings = st.lists(
    st.builds(Holding, ids, st.integers(0, 20 * DAY), st.frozensets(st.sampled_from("pqrstu"), max_size=4)),
    unique_by=lambda each: each.id,
    max_size=6,
)


@given(held=holdings, used=st.frozensets(ids), limit=st.integers(0, 60), kept=st.integers(0, 10 * DAY))
def test_collection_leaves_what_is_needed_and_goes_no_further_than_it_must(
    held: list[Holding], used: frozenset[str], limit: int, kept: int
) -> None:
    weights = dict.fromkeys("pqrstu", 10)
    now = 20 * DAY
    gone = decide_stacks(held, weights, used=used, now=now, kept_ms=kept, limit_bytes=limit)
    fresh = {each.id for each in held if now - each.used_at <= STACK_GRACE_MS}
    assert not set(gone) & (used | fresh)
    left = [each for each in held if each.id not in gone]
    weight = 10 * len({name for each in left for name in each.packages})
    assert weight <= limit or all(each.id in used | fresh for each in left), "more could go"
    spared = [each for each in left if each.id not in used | fresh]
    assert all(now - each.used_at <= kept or kept < STACK_GRACE_MS for each in spared), "too long idle"
    assert decide_stacks(left, weights, used=used, now=now, kept_ms=kept, limit_bytes=limit) == ()


def test_the_longest_idle_goes_first_when_it_gets_tight_and_shared_packages_weigh_once() -> None:
    old, newer = Holding("old", 10 * DAY, frozenset("pq")), Holding("newer", 11 * DAY, frozenset("pr"))
    weights = {"p": 100, "q": 10, "r": 10}
    choose = {"used": frozenset[str](), "now": 12 * DAY, "kept_ms": 9 * DAY}
    assert decide_stacks([newer, old], weights, **choose, limit_bytes=120) == ()  # type: ignore[arg-type]
    assert decide_stacks([newer, old], weights, **choose, limit_bytes=119) == ("old",)  # type: ignore[arg-type]
    assert decide_stacks([newer, old], weights, **choose, limit_bytes=50) == ("old", "newer")  # type: ignore[arg-type]
