"""Pure decisions of scaling: how many instances of which flavor, from what was measured, and why in words.

Larger instances before more of them; fewer before smaller ones. What decides is measured over a window in which the
scale did not change, so a change is always answered by new figures before the next one. Up at 80 %, down only when
what is left would still be below 50 %: the same load never leads both ways (`tests/decide/test_decide_scaling.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from havre.apps.model import App
from havre.base.flavors import FLAVORS, flavor, rank

CPU_HIGH, MEMORY_HIGH, IN_FLIGHT_HIGH = 0.80, 0.85, 32.0
CPU_LOW, MEMORY_LOW, IN_FLIGHT_LOW = 0.50, 0.60, 16.0
SEEN_SHARE = 0.8  # of a window must be covered by samples


@dataclass(frozen=True, slots=True)
class Scale:
    """So many instances of one flavor; none: the app is asleep."""

    instances: int
    flavor: str

    def __str__(self) -> str:
        return f"{self.instances} × {self.flavor}"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the owner allows."""

    min_instances: int
    max_instances: int
    min_flavor: str
    max_flavor: str

    def nearest(self, scale: Scale) -> Scale:
        """The allowed scale that is nearest to `scale`."""
        count = min(max(scale.instances, self.min_instances), self.max_instances)
        size = min(max(rank(scale.flavor), rank(self.min_flavor)), rank(self.max_flavor))
        return Scale(count, FLAVORS[size].name)

    @property
    def is_fixed(self) -> bool:
        return self.min_instances == self.max_instances and self.min_flavor == self.max_flavor


@dataclass(frozen=True, slots=True)
class Sample:
    """What an app's instances did in the interval that ended at `at` (ms).

    cpu: processors used by all of them together; None where the machine does not count it, as with memory_bytes, the
    most that one of them has. in_flight: requests being answered, of all together. waiting: for an instance to accept.
    connections: open ones, used or not.
    """

    at: int
    instances: int
    cpu: float | None = None
    memory_bytes: int | None = None
    in_flight: int = 0
    connections: int = 0
    waiting: int = 0
    requests_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Windows:
    """How long something must be so before it leads to more, or to less."""

    up_ms: int = 60_000
    down_ms: int = 600_000


@dataclass(frozen=True, slots=True)
class Change:
    """Take this scale instead; `why` completes "scaled to … because …"."""

    to: Scale
    why: str


def bounds_of(app: App) -> Bounds:
    return Bounds(app.min_instances, app.max_instances, app.min_flavor, app.max_flavor)


def decide_scale(
    bounds: Bounds, now_scale: Scale, samples: Sequence[Sample], *, now: int, windows: Windows
) -> Change | None:
    """Return the change that the samples call for; None: none, or not yet.

    samples: oldest first, of the present scale alone. An app that is asleep is not decided here.
    """
    if now_scale.instances == 0:
        return None
    if (nearest := bounds.nearest(now_scale)) != now_scale:
        return Change(nearest, "its owner allows no other scale")
    lately = _window(samples, now=now, length_ms=windows.up_ms)
    if lately and (why := _too_much(now_scale, lately, windows.up_ms)):
        larger = _larger(bounds, now_scale)
        return Change(larger, why) if larger is not None else None
    long = _window(samples, now=now, length_ms=windows.down_ms)
    return _less(bounds, now_scale, long, windows.down_ms) if long else None


def decide_sleep(samples: Sequence[Sample], *, now: int, idle_ms: int) -> Change | None:
    """Whether an app that may sleep has not been asked for so long. samples: oldest first."""
    idle = _window(samples, now=now, length_ms=idle_ms)
    if not idle or any(each.connections or each.in_flight or each.waiting or each.requests_per_s for each in idle):
        return None
    return Change(Scale(0, ""), f"no request came for {_seconds(idle_ms)}")


def _window(samples: Sequence[Sample], *, now: int, length_ms: int) -> Sequence[Sample]:
    """The samples of the last `length_ms`; none when they do not cover it."""
    if not samples or samples[0].at > now - length_ms * SEEN_SHARE:
        return ()
    return [each for each in samples if each.at > now - length_ms]


def _too_much(scale: Scale, samples: Sequence[Sample], length_ms: int) -> str:
    """In words what is too much for the scale; empty: nothing."""
    size, during = flavor(scale.flavor), _seconds(length_ms)
    if (used := _mean([each.cpu for each in samples])) is not None:
        share = min(1.0, used / (size.cpus * scale.instances))
        if share > CPU_HIGH:
            return f"its processors were {share:.0%} busy for {during}"
    if (held := _mean([each.memory_bytes for each in samples])) is not None and held > MEMORY_HIGH * size.memory_bytes:
        return f"its memory was {held / size.memory_bytes:.0%} full for {during}"
    if (waiting := min(each.waiting for each in samples)) > 0:
        return f"{waiting} requests or more waited for an instance for {during}"
    in_flight = (_mean([float(each.in_flight) for each in samples]) or 0.0) / scale.instances
    if in_flight > IN_FLIGHT_HIGH:
        return f"each instance was answering {in_flight:.0f} requests at a time for {during}"
    return ""


def _larger(bounds: Bounds, scale: Scale) -> Scale | None:
    if rank(scale.flavor) < rank(bounds.max_flavor):
        return Scale(scale.instances, FLAVORS[rank(scale.flavor) + 1].name)
    if scale.instances < bounds.max_instances:
        return Scale(scale.instances + 1, scale.flavor)
    return None


def _less(bounds: Bounds, scale: Scale, samples: Sequence[Sample], length_ms: int) -> Change | None:
    if any(each.waiting for each in samples):
        return None
    if scale.instances > bounds.min_instances:
        smaller = Scale(scale.instances - 1, scale.flavor)
    elif rank(scale.flavor) > rank(bounds.min_flavor):
        smaller = Scale(scale.instances, FLAVORS[rank(scale.flavor) - 1].name)
    else:
        return None
    size = flavor(smaller.flavor)
    used = _mean([each.cpu for each in samples])
    held = max((each.memory_bytes for each in samples if each.memory_bytes is not None), default=None)
    in_flight = _mean([float(each.in_flight) for each in samples]) or 0.0
    if used is not None and used > CPU_LOW * size.cpus * smaller.instances:
        return None
    if held is not None and held > MEMORY_LOW * size.memory_bytes:
        return None
    if in_flight > IN_FLIGHT_LOW * smaller.instances:
        return None
    busy = "" if used is None else f", its processors {used / (flavor(scale.flavor).cpus * scale.instances):.0%} busy"
    return Change(smaller, f"less was enough for {_seconds(length_ms)}: {in_flight:.0f} requests at a time{busy}")


def _mean(values: Sequence[float | None]) -> float | None:
    known = [each for each in values if each is not None]
    return math.fsum(known) / len(known) if known else None


def _seconds(ms: int) -> str:
    return f"{ms / 1000:g} s"
