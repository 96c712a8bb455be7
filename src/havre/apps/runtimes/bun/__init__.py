"""Node apps that ask for Bun: installed, built and run by it. The page is README.md."""

from __future__ import annotations

from collections.abc import Mapping

from havre.apps.runtimes.package_json import manifest, start_line
from havre.apps.runtimes.plan import Command, Plan
from havre.apps.runtimes.tree import Tree

CACHE = "/home/bas/.cache/bun"


def detect(tree: Tree, env: Mapping[str, str]) -> Plan:
    """`bun install` (frozen when there is a lock file), then the start script under Bun."""
    package = manifest(tree)
    frozen = ("--frozen-lockfile",) if tree.first("bun.lock", "bun.lockb") else ()
    omit = ("--production",) if env.get("CC_NODE_DEV_DEPENDENCIES", "").strip() == "ignore" else ()
    return Plan(
        runtime="bun",
        toolchains=("bun", "node"),
        build=(Command("bun install", ("bun", "install", *frozen, *omit, "--no-progress")),),
        start=start_line(package, env, program="bun", runner="bun --bun run start"),
        env={"NODE_ENV": "production", "BUN_INSTALL_CACHE_DIR": env.get("CC_BUN_INSTALL_CACHE_DIR") or CACHE},
        lock_files=("bun.lock", "bun.lockb", "package.json"),
        dependencies=("node_modules",),
    )
