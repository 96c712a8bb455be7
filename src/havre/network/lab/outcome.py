"""What a scenario brought, and whether that is what it expects. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from havre.network.lab.scenario import Scenario
from havre.network.probes.streams import Counted


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scenario brought. wrong: what was expected and is not so, in words; empty when all is as expected.
    remarks: what about the world is not as it was wanted."""

    scenario: Scenario
    counted: tuple[Counted, ...]
    states: tuple[str, ...]
    note: str
    wrong: tuple[str, ...]
    seconds: float
    proof: str = ""
    remarks: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """As `havre network lab --json` prints them."""
        return [
            {
                "name": self.scenario.name,
                "path": self.scenario.path,
                "family": each.family,
                "direction": each.direction,
                "sent": each.sent,
                "lost": each.lost,
                "longest_gap_ms": round(each.longest_gap_ms, 1),
                "states": list(self.states),
            }
            for each in self.counted
        ]


def unexpected(scenario: Scenario, counted: tuple[Counted, ...], stage: str) -> tuple[str, ...]:
    expect, wrong = scenario.expect, []
    if expect.stage and expect.stage != stage:
        wrong.append(f"it ended at {stage}, not at {expect.stage}")
    for each in counted:
        lost = expect.lost_in if each.direction == "in" else expect.lost_out
        gap = expect.gap_in_ms if each.direction == "in" else expect.gap_out_ms
        if lost is not None and each.lost > lost:
            wrong.append(f"IPv{each.family} {each.direction}: {each.lost} packets lost, not {lost} at most")
        if gap is not None and each.longest_gap_ms > gap:
            wrong.append(
                f"IPv{each.family} {each.direction}: a gap of {each.longest_gap_ms:.0f} ms, not {gap:.0f} at most"
            )
        least = expect.least_gap_in_ms if each.direction == "in" else expect.least_gap_out_ms
        if least is not None and each.longest_gap_ms < least:
            told = f"{each.longest_gap_ms:.0f} ms alone without a packet, not {least:.0f} at least"
            wrong.append(f"IPv{each.family} {each.direction}: {told}")
    return tuple(wrong)
