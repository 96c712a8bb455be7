"""ghc-pkg's cache of the libraries that are there."""

from __future__ import annotations

from havre.drivers.debian.tree import Tree


async def package_cache(tree: Tree) -> None:
    tree.own(("var/lib/ghc",))
    await tree.run(["/usr/bin/ghc-pkg", "recache", "--global"], may_fail=True)
