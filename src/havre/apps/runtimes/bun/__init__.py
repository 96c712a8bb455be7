"""Node apps that ask for Bun: installed, built and run by it. The page is README.md."""

from __future__ import annotations

import re
from collections.abc import Mapping

from havre.apps.runtimes.package_json import manifest, plain_start, start_line
from havre.apps.runtimes.plan import Command, Plan
from havre.apps.runtimes.tree import Tree

CACHE = "/home/bas/.cache/bun"
RUNNER = "bun --bun run start"
_OF_A_FILE = re.compile(r"bun (run )?[^\s-]\S*\.[cm]?[jt]sx?( .*)?")  # a program of a package has no such name


def detect(tree: Tree, env: Mapping[str, str]) -> Plan:
    """`bun install` (frozen when there is a lock file), then the start script under Bun.

    A script that is Bun with a file needs no second Bun around it, which would take its time and stay for ever.
    """
    package = manifest(tree)
    plain = plain_start(package)
    frozen = ("--frozen-lockfile",) if tree.first("bun.lock", "bun.lockb") else ()
    omit = ("--production",) if env.get("CC_NODE_DEV_DEPENDENCIES", "").strip() == "ignore" else ()
    return Plan(
        runtime="bun",
        toolchains=("bun", "node"),
        build=(Command("bun install", ("bun", "install", *frozen, *omit, "--no-progress")),),
        start=start_line(package, env, program="bun", runner=plain if _OF_A_FILE.fullmatch(plain) else RUNNER),
        env={"NODE_ENV": "production", "BUN_INSTALL_CACHE_DIR": env.get("CC_BUN_INSTALL_CACHE_DIR") or CACHE},
        lock_files=("bun.lock", "bun.lockb", "package.json"),
        dependencies=("node_modules",),
    )
