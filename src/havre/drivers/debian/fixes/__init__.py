"""What the packages' own scripts would have done, done by hand, because no script of a package runs here.

A fix is a few lines for one package or a family of them. Another language's packages need one? Write it in a file of
its own beside these and name it in FIXES. They run in this order, on a tree whose packages are all unpacked.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from havre.drivers.debian.fixes import alternatives, haskell, java, php, python, system
from havre.drivers.debian.tree import Tree


@dataclass(frozen=True)
class Fix:
    """needs: a package of whose presence it depends, or a beginning of names that ends in `*`; empty: always."""

    needs: str
    do: Callable[[Tree], Awaitable[None]]

    def applies(self, names: frozenset[str]) -> bool:
        if self.needs.endswith("*"):
            return any(name.startswith(self.needs[:-1]) for name in names)
        return not self.needs or self.needs in names


FIXES = (
    Fix("", system.people),
    Fix("", system.places),
    Fix("", alternatives.choose),
    Fix("ca-certificates", system.authorities),
    Fix("", system.loader_cache),
    Fix("python3*", python.compile_bytecode),
    Fix("ca-certificates-java", java.trust_store),
    Fix("openjdk-*", java.commands),
    Fix("php*", php.extensions),
    Fix("ghc", haskell.package_cache),
)


async def mend(tree: Tree) -> None:
    """Apply every fix that the packages of `tree` call for."""
    for fix in FIXES:
        if fix.applies(tree.names):
            await fix.do(tree)


@functools.cache
def recipe() -> str:
    """A text that changes whenever a stack of the same packages would come out otherwise: the code that makes it."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for each in (*sorted(here.glob("*.py")), here.parent / "tree.py", here.parent / "pool.py"):
        digest.update(each.read_bytes())
    return digest.hexdigest()[:16]
