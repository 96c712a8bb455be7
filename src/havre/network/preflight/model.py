"""The nouns of preflight: what was looked at, and what a check found in it.

Evidence that is None was not looked at. A check never takes that for a pass: it says `unknown`, and how to look.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from havre.drivers.irr import RpslObject
from havre.network.model import Family, OwnPrefix
from havre.network.registries.sets import Members
from havre.network.registries.vrps import Network, Vrps

__all__ = ["Case", "Evidence", "Finding", "Probe", "Report", "Result", "network"]


class Result(StrEnum):
    """ok; warning: a person should look; stop: the migration does not go on; unknown: not looked at."""

    OK = "ok"
    WARNING = "warning"
    STOP = "stop"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says about one thing. `advice` is what to do; empty when all is well."""

    check: str
    subject: str
    result: Result
    evidence: str
    advice: str = ""

    def __str__(self) -> str:
        told = f"{self.result.value:<8} {self.check:<22} {self.subject}: {self.evidence}"
        return f"{told}\n{'':<9}-> {self.advice}" if self.advice else told


@dataclass(frozen=True, slots=True)
class Probe:
    """Packets sent out through one neighbour alone, and how many were answered. words: of who knows without."""

    sent: int
    answered: int
    words: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One route put to a filter of the generated configuration, and what the daemon made of it."""

    filter: str
    route: str
    what: str
    is_wanted: bool
    is_taken: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the checks look at.

    origins: of each source and prefix, whose route objects there are. members: what our set leads to. autnum: our
    object, with `has_autnum` False when registries have none. table: validated ROAs. received: routes that each
    neighbour sends, or is known to send. lists: what the filters of peers are made of. outbound: probes bound to each
    neighbour. restarts: upstreams whose sessions a change would restart. cases: see `trial`. troubles: what did not
    answer.
    """

    origins: Mapping[tuple[str, Network], frozenset[int]] | None = None
    members: Members | None = None
    has_set: bool = True
    autnum: RpslObject | None = None
    has_autnum: bool = True
    table: Vrps | None = None
    received: Mapping[tuple[str, Family], int] = field(default_factory=dict)
    lists: Mapping[tuple[str, Family], Sequence[str]] | None = None
    outbound: Mapping[tuple[str, Family], Probe] | None = None
    restarts: tuple[str, ...] | None = None
    cases: tuple[Case, ...] | None = None
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, in the order of the checks. troubles: what did not answer while evidence was gathered."""

    findings: tuple[Finding, ...]
    troubles: tuple[str, ...] = ()

    def of(self, *results: Result) -> tuple[Finding, ...]:
        return tuple(each for each in self.findings if each.result in results)

    @property
    def stops(self) -> tuple[Finding, ...]:
        """What a migration does not go on with: what is wrong, and what nobody looked at."""
        return self.of(Result.STOP, Result.UNKNOWN)

    @property
    def is_clear(self) -> bool:
        return not self.stops

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __str__(self) -> str:
        counts = ", ".join(f"{len(self.of(each))} {each.value}" for each in Result)
        return "\n".join([*map(str, self.findings), *(f"! {each}" for each in self.troubles), counts])


def network(own: OwnPrefix) -> Network:
    """A prefix of ours as the registries have it."""
    return ipaddress.ip_network(str(own.prefix))
