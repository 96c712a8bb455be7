"""Why a build failed, for people."""

from __future__ import annotations

from pathlib import Path

from havre import observe
from havre.kernel.units import Exit


def last_words(log: Path, ended: Exit) -> str:
    """Why a build failed, for people: the limit that it met, else the last line that it said."""
    if ended.is_stopped or ended.code is None:
        return str(ended)
    said = [line for line in observe.tail(log, lines=30) if line.strip()]
    return said[-1] if said else str(ended)
