"""Whether what is seen is what a stage wants: packets and visibility decide, never the state of a session. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Word = Literal["well", "waiting", "failed"]


@dataclass(frozen=True, slots=True)
class Seen:
    """One look. origins: (looking glass, prefix) -> the origin that it sees, 0 for a route without a path; None for no
    route. silent: looking glasses that did not answer. lost: packets that have not arrived, by stream."""

    origins: Mapping[tuple[str, str], int | None] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()
    lost: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """origins: prefix -> who may originate it now; until: prefix -> who has to, before the stage is reached.
    tolerated: packets of one stream that may be lost on the way."""

    origins: Mapping[str, frozenset[int]]
    until: Mapping[str, frozenset[int]]
    tolerated: int = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    word: Word
    why: str = ""


def judge(seen: Seen, wanted: Wanted) -> Verdict:
    """Failed: turn back now. Waiting: nothing is wrong, and what is wanted is not there yet. A looking glass that does
    not answer is no evidence of anything: it makes us wait, and never turn back."""
    for stream, count in sorted(seen.lost.items()):
        if count > wanted.tolerated:
            return Verdict("failed", f"{count} packets of the stream {stream} are lost")
    waiting = ""
    for (glass, prefix), origin in sorted(seen.origins.items()):
        if glass in seen.silent:
            continue
        if origin is None:
            return Verdict("failed", f"{glass} has no route to {prefix} any more")
        if origin not in wanted.origins[prefix]:
            return Verdict("failed", f"{glass} sees {prefix} from AS{origin}, which is not of this migration")
        if origin not in wanted.until[prefix]:
            waiting = waiting or f"{glass} sees {prefix} from AS{origin} still"
    if seen.silent:
        waiting = waiting or f"{', '.join(sorted(seen.silent))} does not answer"
    return Verdict("waiting", waiting) if waiting else Verdict("well")
