"""py3compile(1): bytecode of the library, without which every start would compile it."""

from __future__ import annotations

import os

from havre.drivers.debian.tree import Tree


async def compile_bytecode(tree: Tree) -> None:
    """Compile what the interpreter finds by itself, with the interpreter of the tree."""
    if not tree.has("usr/bin/python3"):
        return
    places = [f"/{each.relative_to(tree.root)}" for each in tree.find("usr/lib/python3*") if each.is_dir()]
    flags = ["-q", "-j", str(os.cpu_count() or 1), "-x", r"/(test|tests|lib2to3/tests|idlelib)/"]
    await tree.run(["/usr/bin/python3", "-m", "compileall", *flags, *places], may_fail=True)
