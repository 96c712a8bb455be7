"""The lab: the article's situation in network namespaces with real daemons, and probes that count packets both ways."""

from __future__ import annotations

from pathlib import Path

from havre.network.lab.runner import Outcome, run
from havre.network.lab.scenario import Scenario, load

__all__ = ["Outcome", "Scenario", "chosen", "load", "run", "standard", "told"]
SCENARIOS = Path(__file__).with_name("scenarios")


def standard() -> list[Scenario]:
    """Ours, in the order of their files."""
    return [load(each) for each in sorted(SCENARIOS.glob("*.yaml"))]


def chosen(only: str) -> list[Scenario]:
    """Ours: the one of that name, or those whose names have `only` in them; all but the long ones when it is empty."""
    every = standard()
    return [each for each in every if each.name == only] or [
        each for each in every if (only in each.name if only else not each.is_long)
    ]


def told(outcome: Outcome) -> str:
    """An outcome for people."""
    lines = [
        f"{outcome.scenario.name} ({outcome.scenario.path} path, {outcome.seconds:.0f} s): {outcome.scenario.what}"
    ]
    lines.append(f"  {' > '.join(outcome.states)}")
    lines += [f"  ({each})" for each in outcome.remarks]
    if outcome.note:
        lines.append(f"  {outcome.note}")
    for each in outcome.counted:
        gap = f", longest gap {each.longest_gap_ms:.0f} ms" if each.lost else ""
        lines.append(f"  IPv{each.family} {each.direction:<3} {each.lost:>6} lost of {each.sent}{gap}")
    lines.append("  as expected" if not outcome.wrong else f"  NOT as expected: {'; '.join(outcome.wrong)}")
    return "\n".join(lines)
