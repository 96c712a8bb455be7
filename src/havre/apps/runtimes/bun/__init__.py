"""Node apps whose lock file is Bun's: installed, built and run by Bun. The page is README.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from havre.apps.runtimes.plan import Command, Plan
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError


def plan(tree: Tree, env: Mapping[str, str], package: Mapping[str, Any]) -> Plan:
    """`bun install` (frozen when there is a lock file), then the start script under Bun."""
    frozen = ("--frozen-lockfile",) if tree.first("bun.lock", "bun.lockb") else ()
    omit = ("--omit=dev",) if env.get("CC_NODE_DEV_DEPENDENCIES", "") == "ignore" else ()
    start = env.get("CC_RUN_COMMAND")
    if not start:
        scripts = package.get("scripts") or {}
        main = package.get("main")
        if scripts.get("start"):
            start = "bun --bun run start"
        elif isinstance(main, str):
            start = f"bun {main}"
        else:
            raise InvalidError("package.json has neither scripts.start nor main: say how the app starts")
    return Plan(
        runtime="bun",
        toolchains=("bun", "node"),
        build=(Command("bun install", ("bun", "install", *frozen, *omit, "--no-progress")),),
        start=start,
        env={
            "NODE_ENV": "production",
            "BUN_INSTALL_CACHE_DIR": env.get("CC_BUN_INSTALL_CACHE_DIR", "/home/bas/.cache/bun"),
        },
        lock_files=("bun.lock", "bun.lockb", "package.json"),
    )
