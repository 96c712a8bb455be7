"""Which instances are replaced, admitted or removed, and when a start has to wait."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from havre.apps.decide import Admit, Remove, Replace, Wait, decide_instances, is_hung, pause_ms
from havre.apps.model import Instance, InstanceState
from havre.base.ids import AppId, DeploymentId, InstanceId, UnitId
from havre.kernel.units import Exit, Unit

NOW = 1_000_000_000


def an_instance(id: str, app: str = "a", **changes: object) -> Instance:
    made = Instance(InstanceId(id), AppId(app), DeploymentId("d"), 1, 0, "XS", "c", InstanceState.UP, 0, None)
    return replace(made, **changes)  # type: ignore[arg-type]


def a_unit(id: str, app: str = "a", **changes: object) -> Unit:
    made = Unit(UnitId(id), "instance", {"app": app}, "running", 0, pid=1, accepting=True)
    return replace(made, **changes)  # type: ignore[arg-type]


def ended(code: int | None = 1, **facts: object) -> dict[str, object]:
    return {"state": "exited", "exit": Exit(code, None, False, NOW, **facts)}  # type: ignore[arg-type]


def decide(wanted: list[Instance], seen: list[Unit], **facts: object) -> tuple[object, ...]:
    values: dict[str, object] = {"now": NOW, "busy": frozenset(), "crashes": {}} | facts
    return decide_instances(wanted, seen, **values)  # type: ignore[arg-type]


def test_what_serves_is_left_alone() -> None:
    assert decide([an_instance("1")], [a_unit("1")]) == ()


def test_an_instance_that_ended_or_never_was_is_replaced() -> None:
    one = an_instance("1")
    assert decide([one], [a_unit("1", **ended())]) == (Replace(one, True),)
    assert decide([one], [a_unit("1", **ended(None))]) == (Replace(one, False),)
    assert decide([one], []) == (Replace(one, False),)


def test_an_instance_that_somebody_killed_counts_as_crashed() -> None:
    one = an_instance("1")
    killed = Exit(None, 9, True, NOW)
    assert decide([one], [a_unit("1", state="exited", exit=killed)]) == (Replace(one, True),)


def test_a_crash_loop_waits_and_a_machine_that_was_off_does_not() -> None:
    one, crashes = an_instance("1"), {"a": [NOW - 2000, NOW - 1000, NOW - 100]}
    assert decide([one], [a_unit("1", **ended())], crashes=crashes) == (Wait(AppId("a"), 3900),)
    assert decide([one], [], crashes=crashes) == (Replace(one, False),)


def test_an_instance_that_hangs_is_replaced_with_the_same_patience() -> None:
    one = an_instance("1")
    assert decide([one], [a_unit("1")], hung={"1": "no answer"}) == (Replace(one, False, "no answer"),)
    crashes = {"a": [NOW - 2000, NOW - 1000]}
    assert decide([one], [a_unit("1")], hung={"1": "no answer"}, crashes=crashes) == (Wait(AppId("a"), 1000),)


def test_instances_know_how_many_they_are() -> None:
    two = [an_instance("1"), an_instance("2", number=1)]
    units = [a_unit("1", peers=1), a_unit("2", accepting=False)]
    assert decide(two, units) == (Admit(two[1], 1),)
    assert decide(two, units, booting=frozenset({"2"})) == ()


def test_a_busy_app_is_its_operations() -> None:
    stray = a_unit("9", app="b")
    assert decide([an_instance("1")], [stray], busy=frozenset({"a", "b"})) == ()
    assert decide([], [stray]) == (Remove(stray),)


def test_several_failures_are_a_verdict() -> None:
    assert [is_hung(failures, most=3) for failures in range(5)] == [False, False, False, True, True]


def test_a_clock_that_was_set_back_makes_nobody_wait_for_what_is_still_to_come() -> None:
    day = 86_400_000
    crashes = [NOW + day - 3000, NOW + day - 2000, NOW + day]
    assert pause_ms(crashes, now=NOW) <= 0
    assert pause_ms([NOW - 2000, NOW - 1000, *crashes], now=NOW) == 1000, "those of before count as ever"
    unit = a_unit("1", **ended())
    assert decide([an_instance("1")], [unit], crashes={"a": crashes}) == (Replace(an_instance("1"), True),)


@given(st.lists(st.integers(-(10**9), 10**9), max_size=40).map(sorted))
def test_whatever_the_clock_does_a_start_waits_a_minute_at_most(moments: list[int]) -> None:
    assert pause_ms([NOW + each for each in moments], now=NOW) <= 60_000


@given(st.lists(st.integers(0, 600_000), max_size=40).map(sorted))
def test_a_start_never_waits_longer_than_a_minute_and_the_first_crash_costs_nothing(ages: list[int]) -> None:
    crashes = [NOW - age for age in reversed(ages)]
    assert pause_ms(crashes, now=NOW) <= 60_000
    assert pause_ms(crashes[:1], now=NOW) == 0
