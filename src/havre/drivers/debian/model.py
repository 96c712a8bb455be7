"""The nouns of stacks: a package, a closure of packages, a stack on disk."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from havre.base.errors import InvalidError

_FILE = re.compile(r"([a-z0-9][a-z0-9+.-]*)_([A-Za-z0-9.+~%:-]+)_([a-z0-9-]+)\.deb")
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.]")  # one that ends in - would be removed by apt
ID = re.compile(r"stack_[0-9a-f]{16}")


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """One package at one version. download_bytes: what its file weighs."""

    name: str
    version: str
    architecture: str
    download_bytes: int = 0

    @property
    def file(self) -> str:
        """The name of its file, as apt writes it (a colon would be a drive's on other systems)."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


@dataclass(frozen=True, slots=True)
class Closure:
    """Everything that a set of packages needs, at the versions of one set of package lists; sorted by name."""

    packages: tuple[Package, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(each.name for each in self.packages)

    def id(self, recipe: str) -> str:
        """The name of the stack that `recipe` makes of it: the same packages and recipe, the same name."""
        listed = sorted([each.name, each.version, each.architecture] for each in self.packages)
        return "stack_" + hashlib.sha256(json.dumps([recipe, listed]).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack on disk: `tree` holds what units see as /usr, /etc and /var. bytes: of all its files, shared or not.

    asked: the packages that it was made for; the rest of its closure came with them.
    """

    id: str
    tree: Path
    asked: tuple[str, ...]
    closure: Closure
    bytes: int
    made_at: int
    used_at: int


def parse_uris(printed: str) -> Closure:
    """The closure in what `apt-get --print-uris` prints: 'address' file size checksum, one a line.

    Other lines (apt's remarks) are passed over. A package that comes twice counts once.
    """
    found: dict[str, Package] = {}
    for line in printed.splitlines():
        words = line.rsplit("'", 1)[-1].split() if line.startswith("'") else []
        match = _FILE.fullmatch(words[0]) if len(words) >= 2 else None
        if match and words[1].isdigit():
            name, version, architecture = match.groups()
            found[name] = Package(name, version.replace("%3a", ":"), architecture, int(words[1]))
    return Closure(tuple(found[name] for name in sorted(found)))


def may_follow(old: Closure, new: Closure) -> bool:
    """Whether what was built on `old` runs on `new` as it is.

    Debian gives a library another package name when programs must be built again for it (Debian Policy 8.1), and so
    does it with interpreters (python3.11, php8.2): nothing of `old` may be missing.
    """
    return old.names <= new.names


def differences(old: Closure, new: Closure) -> tuple[str, ...]:
    """What changes from `old` to `new`, one line for each package."""
    before, after = ({each.name: each.version for each in closure.packages} for closure in (old, new))
    changed = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    return tuple(f"{name}: {before.get(name, 'not there')} -> {after.get(name, 'gone')}" for name in changed)


def check_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Sorted, each once. Raises InvalidError for what is no package name (it would be an option, or a file)."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise InvalidError(f"{name!r} is not the name of a Debian package")
    return tuple(sorted(set(names)))
