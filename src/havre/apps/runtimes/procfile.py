"""`Procfile`: how an app starts when nothing else says it."""

from __future__ import annotations

import re

FILE = "Procfile"
_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(\S.*)")


def processes(text: str) -> dict[str, str]:
    """The lines of a Procfile by name. What is no line of one is passed over."""
    found = (_LINE.fullmatch(line.strip()) for line in text.splitlines())
    return {each[1]: each[2].strip() for each in found if each is not None}
