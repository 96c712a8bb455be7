"""The proof file of a migration: of every stage what was checked, done and seen, and when. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from havre.network.tables import Evidence, Migration

WORDS = {
    "preflight": "Checked", "asked": "Asked", "seen": "Seen", "probe": "Probed", "reached": "Reached",
    "taken_back": "Taken back", "confirmed": "Confirmed", "packets": "Packets",
}  # fmt: skip


def text(migration: Migration, story: Sequence[Evidence]) -> str:
    """The file, in Markdown."""
    lines = [
        f"# Migration {migration.id}",
        "",
        f"Begun {_moment(migration.created_at)}; at {migration.stage} since {_moment(migration.changed_at)},"
        f" on the way to {migration.goal}{' (paused)' if migration.is_paused else ''}.",
    ]
    if migration.note:
        lines += ["", f"{migration.note}."]
    stage = ""
    for each in story:
        if each.stage != stage:
            stage = each.stage
            lines += ["", f"## {stage}", ""]
        lines.append(f"- {_moment(each.at)} {WORDS.get(each.kind, each.kind)}: {each.words}")
        lines += _facts(each)
    return "\n".join(lines) + "\n"


def _facts(each: Evidence) -> list[str]:
    lines = []
    for name, value in each.facts.items():
        if isinstance(value, str) and "\n" in value.strip():
            lines += [
                "",
                f"  {name}",
                "",
                "  ```",
                *(f"  {line.rstrip()}" for line in value.strip().splitlines()),
                "  ```",
                "",
            ]
        else:
            lines.append(f"  - {name}: {value}")
    return lines


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.") + f"{at % 1000:03d} UTC"
