"""Scaling: the table of what leads where, and what holds for every load."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havre.apps.scaling import Bounds, Change, Sample, Scale, Windows, decide_scale, decide_sleep
from havre.base.flavors import FLAVORS, flavor, rank

NOW = 10_000_000
WINDOWS = Windows(up_ms=60_000, down_ms=600_000)
GIB = 1024**3


def steady(seconds: int, **facts: object) -> list[Sample]:
    """The same sample every five seconds until now."""
    return [Sample(at, 1, **facts) for at in range(NOW - seconds * 1000, NOW + 1, 5000)]  # type: ignore[arg-type]


ONE_TO_FOUR = Bounds(1, 4, "XS", "M")


@pytest.mark.parametrize(
    ("bounds", "scale", "samples", "expected"),
    [
        (ONE_TO_FOUR, Scale(1, "XS"), steady(900, cpu=0.95), Scale(1, "S")),
        (ONE_TO_FOUR, Scale(1, "S"), steady(900, cpu=1.9), Scale(1, "M")),
        (ONE_TO_FOUR, Scale(1, "M"), steady(900, cpu=3.9), Scale(2, "M")),
        (ONE_TO_FOUR, Scale(4, "M"), steady(900, cpu=15.9), None),
        (ONE_TO_FOUR, Scale(1, "XS"), steady(30, cpu=0.95), None),
        (ONE_TO_FOUR, Scale(1, "XS"), steady(900, memory_bytes=int(0.9 * GIB)), Scale(1, "S")),
        (ONE_TO_FOUR, Scale(1, "XS"), steady(900, cpu=0.1, waiting=3), Scale(1, "S")),
        (ONE_TO_FOUR, Scale(1, "M"), steady(900, cpu=0.1, in_flight=40), Scale(2, "M")),
        (ONE_TO_FOUR, Scale(3, "M"), steady(900, cpu=0.2, memory_bytes=GIB // 8), Scale(2, "M")),
        (ONE_TO_FOUR, Scale(1, "M"), steady(900, cpu=0.2, memory_bytes=GIB // 8), Scale(1, "S")),
        (ONE_TO_FOUR, Scale(1, "XS"), steady(900, cpu=0.0), None),
        (ONE_TO_FOUR, Scale(3, "M"), steady(300, cpu=0.2), None),
        (ONE_TO_FOUR, Scale(2, "M"), steady(900, cpu=2.1), None),
        (ONE_TO_FOUR, Scale(1, "S"), steady(900, cpu=0.1, memory_bytes=GIB * 3 // 4), None),
        (Bounds(2, 2, "S", "S"), Scale(1, "XS"), [], Scale(2, "S")),
        (Bounds(1, 1, "XS", "XS"), Scale(1, "XS"), steady(900, cpu=1.0), None),
        (ONE_TO_FOUR, Scale(0, "XS"), steady(900, waiting=9), None),
    ],
)  # fmt: skip
def test_what_was_measured_leads_to_a_scale(
    bounds: Bounds, scale: Scale, samples: list[Sample], expected: Scale | None
) -> None:
    change = decide_scale(bounds, scale, samples, now=NOW, windows=WINDOWS)
    assert (change.to if change else None) == expected
    assert change is None or change.why


def test_the_reason_is_a_sentence_with_its_figure() -> None:
    change = decide_scale(ONE_TO_FOUR, Scale(2, "XS"), steady(900, cpu=1.86), now=NOW, windows=WINDOWS)
    assert change == Change(Scale(2, "S"), "its processors were 93% busy for 60 s")


def test_an_app_sleeps_after_it_was_left_alone_and_not_while_somebody_listens() -> None:
    assert decide_sleep(steady(300), now=NOW, idle_ms=120_000) == Change(Scale(0, ""), "no request came for 120 s")
    assert decide_sleep(steady(60), now=NOW, idle_ms=120_000) is None
    for busy in ({"in_flight": 1}, {"waiting": 1}, {"requests_per_s": 0.2}):
        samples = [*steady(300)[:-1], Sample(NOW, 1, **busy)]  # type: ignore[arg-type]
        assert decide_sleep(samples, now=NOW, idle_ms=120_000) is None


@st.composite
def all_bounds(draw: st.DrawFn) -> Bounds:
    low = draw(st.integers(1, 5))
    small = draw(st.integers(0, len(FLAVORS) - 1))
    large = draw(st.integers(small, len(FLAVORS) - 1))
    return Bounds(low, draw(st.integers(low, low + 6)), FLAVORS[small].name, FLAVORS[large].name)


loads = st.builds(
    lambda cpu, memory, in_flight: (cpu, memory, in_flight),
    st.floats(0, 100), st.integers(0, 40 * GIB), st.integers(0, 1000),
)  # fmt: skip


def under(scale: Scale, load: tuple[float, int, int]) -> list[Sample]:
    """A constant demand as this scale shows it: nobody uses more than there is, and what is too much waits."""
    size = flavor(scale.flavor)
    cpu = min(load[0], size.cpus * scale.instances)
    waiting = 5 if load[0] > size.cpus * scale.instances else 0
    return steady(900, cpu=cpu, memory_bytes=min(load[1], size.memory_bytes), in_flight=load[2], waiting=waiting)


@given(bounds=all_bounds(), load=loads)
def test_a_constant_load_comes_to_rest_within_the_bounds_and_stays(
    bounds: Bounds, load: tuple[float, int, int]
) -> None:
    scale = Scale(bounds.min_instances, bounds.min_flavor)
    seen = [scale]
    while change := decide_scale(bounds, scale, under(scale, load), now=NOW, windows=WINDOWS):
        assert bounds.nearest(change.to) == change.to
        assert change.to not in seen, f"back to {change.to} after {seen}"
        scale = change.to
        seen.append(scale)
    assert len(seen) <= len(FLAVORS) + bounds.max_instances


@given(bounds=all_bounds(), load=loads, at=st.tuples(st.integers(1, 11), st.integers(0, len(FLAVORS) - 1)))
def test_larger_comes_before_more_and_fewer_before_smaller(
    bounds: Bounds, load: tuple[float, int, int], at: tuple[int, int]
) -> None:
    scale = bounds.nearest(Scale(at[0], FLAVORS[at[1]].name))
    change = decide_scale(bounds, scale, under(scale, load), now=NOW, windows=WINDOWS)
    if change is None:
        return
    if change.to.instances > scale.instances:
        assert scale.flavor == bounds.max_flavor and change.to.flavor == scale.flavor
    if rank(change.to.flavor) < rank(scale.flavor):
        assert scale.instances == bounds.min_instances and change.to.instances == scale.instances
