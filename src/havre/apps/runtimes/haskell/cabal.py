"""What detection reads of a .cabal file: its executables and what they depend on. Pure; not a whole parser.

Stanzas begin at the first column and are indented below; a field goes on as long as lines are further in than its
name (Cabal user guide, "Package descriptions"). Conditions are looked through, as if all were true.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_STANZA = re.compile(
    r"(executable|library|common|test-suite|benchmark|flag|source-repository|foreign-library)\b\s*(\S*)"
)
_FIELD = re.compile(r"(\s*)([A-Za-z-]+)\s*:(.*)")
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
COUNTED = ("executable", "library", "common")


@dataclass(frozen=True)
class Cabal:
    """executables: in the order of the file. depends: packages of all of them and of the library."""

    executables: tuple[str, ...]
    depends: frozenset[str]


def parse(text: str) -> Cabal:
    executables, depends, kind, indent, reads = [], set[str](), "", 0, False
    for raw in text.splitlines():
        line = raw.split("--")[0].rstrip() if raw.lstrip().startswith("--") else raw.rstrip()
        if not line.strip():
            continue
        found = _STANZA.match(line.lower() if line[:1].isalpha() else "")
        if found and not _FIELD.match(line):
            kind, reads = found[1], False
            if kind == "executable":
                executables.append(line.split()[1] if len(line.split()) > 1 else "")
            continue
        field = _FIELD.match(line)
        depth = len(line) - len(line.lstrip())
        if field and not (reads and depth > indent):
            indent = len(field[1])
            reads = field[2].lower() == "build-depends" and kind in COUNTED
            depends |= _names(field[3]) if reads else set()
        elif reads and depth > indent:
            depends |= _names(line)
        else:
            reads = False
    return Cabal(tuple(each for each in executables if each), frozenset(depends))


def _names(text: str) -> set[str]:
    found = (_PACKAGE.match(each.strip()) for each in text.split(","))
    return {each[0] for each in found if each}
