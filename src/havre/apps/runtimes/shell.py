"""Lines for the shell: how a program takes the shell's place, so that signals reach it."""

from __future__ import annotations

import re

_SHELL = set("&|;<>()`\n")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_BUILTIN = frozenset(
    {".", "cd", "command", "eval", "exec", "exit", "export", "for", "if", "set", "source", "trap", "ulimit", "umask",
     "until", "wait", "while", "{", "!"}
)  # fmt: skip


def becoming(line: str) -> str:
    """`line` with `exec` in front where it is one plain command; as it is where the shell is needed around it."""
    words = line.split(maxsplit=1)
    first = words[0] if words else ""
    if any(char in _SHELL for char in line) or first in _BUILTIN:
        return line
    return f"exec env {line}" if _ASSIGNMENT.match(first) else f"exec {line}"
