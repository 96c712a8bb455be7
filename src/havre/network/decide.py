"""What is wanted at each stage of a migration, and what a change of configuration means. Pure.

A *stage* is how far a migration is; a *posture* is what our edges do at it: with whom they hold sessions, what they
tell them, how willingly they use what they hear, and whether the static default to the historical provider stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from havre.base.errors import InvalidError
from havre.network.model import Intent, Upstream, UpstreamKind

DRAIN_PREFERENCE, DRAIN_PREPENDS = 10, 3


class State(StrEnum):
    DRAFT = "DRAFT"
    REGISTERED = "REGISTERED"
    PROPAGATED = "PROPAGATED"
    SHADOW = "SHADOW"
    FLIPPED = "FLIPPED"
    MULTI = "MULTI"
    CLEANED = "CLEANED"


@dataclass(frozen=True, slots=True)
class Stage:
    """`joined`: how many upstreams besides the historical provider have joined; above 0 in MULTI and CLEANED alone."""

    state: State
    joined: int = 0

    def __str__(self) -> str:
        return f"MULTI({self.joined})" if self.state is State.MULTI else self.state.value


@dataclass(frozen=True, slots=True)
class Tie:
    """Our side of one neighbour. is_drained: heard and told as the last resort."""

    is_up: bool
    announces: bool = True
    is_drained: bool = False


@dataclass(frozen=True, slots=True)
class Posture:
    """`has_default`: a static default route leads to the historical provider, below every route that is learned."""

    ties: Mapping[str, Tie]
    has_default: bool


def joiners(intent: Intent) -> tuple[Upstream, ...]:
    """Who joins after the flip, in the order of the file."""
    return tuple(each for each in intent.upstreams if each.kind is not UpstreamKind.HISTORICAL)


def stages(intent: Intent) -> tuple[Stage, ...]:
    """The way of a migration, from its first stage to its last."""
    early = tuple(Stage(each) for each in State if each not in (State.MULTI, State.CLEANED))
    count = len(joiners(intent))
    return (*early, *(Stage(State.MULTI, number) for number in range(1, count + 1)), Stage(State.CLEANED, count))


def stage_named(intent: Intent, text: str) -> Stage:
    """The stage of this intent's way that is called so. Raises InvalidError."""
    way = stages(intent)
    for each in way:
        if str(each) == text:
            return each
    raise InvalidError(f"{text!r} is not a stage on this way: {', '.join(map(str, way))}")


def following(intent: Intent, stage: Stage) -> Stage | None:
    """The next stage; None at the end."""
    way = stages(intent)
    at = way.index(stage)
    return way[at + 1] if at + 1 < len(way) else None


def preceding(intent: Intent, stage: Stage) -> Stage | None:
    way = stages(intent)
    at = way.index(stage)
    return way[at - 1] if at else None


def posture(intent: Intent, stage: Stage, *, is_silent: bool = False, is_trial: bool = False) -> Posture:
    """What the edges do at `stage`. is_silent: the historical provider is told nothing, so that its own static route
    serves; is_trial: the upstream that joins at this stage is drained, to be tried by probes alone."""
    order = list(stages(intent))
    has_session = order.index(stage) >= order.index(Stage(State.SHADOW))
    names = [each.name for each in joiners(intent)]
    ties = {}
    for upstream in intent.upstreams:
        if upstream.kind is UpstreamKind.HISTORICAL:
            ties[upstream.name] = Tie(is_up=has_session, announces=has_session and not is_silent)
            continue
        number = names.index(upstream.name) + 1
        is_drained = is_trial and number == stage.joined and stage.state is State.MULTI
        ties[upstream.name] = Tie(is_up=number <= stage.joined, announces=number <= stage.joined, is_drained=is_drained)
    return Posture(ties, has_default=intent.historical is not None and stage.state is not State.CLEANED)


def settled(intent: Intent) -> Posture:
    """What is wanted where nothing migrates: every session, no static default."""
    return Posture({each.name: Tie(is_up=True) for each in intent.upstreams}, has_default=False)
