"""update-alternatives(1) in short: a plain name for the program that is there."""

from __future__ import annotations

from havre.drivers.debian.tree import Tree

# in usr/bin: name -> the programs that can stand for it, the preferred first; of a pattern the last one is taken
CHOICES: dict[str, tuple[str, ...]] = {
    "awk": ("gawk", "mawk", "original-awk"),
    "nawk": ("gawk", "mawk", "original-awk"),
    "which": ("which.debianutils",),
    "cc": ("gcc", "clang", "tcc"),
    "c++": ("g++", "clang++"),
    "c89": ("c89-gcc",),
    "c99": ("c99-gcc",),
    "php": ("php[0-9]*",),
    "phar": ("phar[0-9]*",),
    "phpize": ("phpize[0-9]*",),
    "php-config": ("php-config[0-9]*",),
    "editor": ("nano", "vim.*"),
    "pager": ("less", "more"),
    "yacc": ("bison.yacc",),
    "nc": ("nc.openbsd", "nc.traditional"),
}

ELSEWHERE = {"mvn": "usr/share/maven/bin/mvn"}  # in usr/bin: name -> where the program stands


async def choose(tree: Tree) -> None:
    """Make the links that are missing."""
    for name, candidates in CHOICES.items():
        if tree.has(f"usr/bin/{name}"):
            continue
        found = [each.name for pattern in candidates for each in tree.find(f"usr/bin/{pattern}")[-1:]]
        if found:
            tree.link(f"usr/bin/{name}", found[0])
    for name, place in ELSEWHERE.items():
        if tree.has(place):
            tree.link(f"usr/bin/{name}", f"/{place}")
