"""What the runtimes of JavaScript share: how `package.json` says that an app starts."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError

_SHELL = set("&|;<>()$`\\\"'=*?[]{}~#\n")


def manifest(tree: Tree) -> dict[str, Any]:
    """package.json. Raises InvalidError when it is missing."""
    if "package.json" not in tree:
        raise InvalidError(
            "no package.json at the top of the repository: a node app needs one with scripts.start or main "
            "(is the app in a sub-folder? then set APP_FOLDER)"
        )
    return tree.json("package.json")


def script(package: Mapping[str, Any], name: str) -> str:
    """The script of that name, or nothing."""
    scripts = package.get("scripts")
    found = scripts.get(name) if isinstance(scripts, dict) else None
    return found.strip() if isinstance(found, str) else ""


def start_line(package: Mapping[str, Any], env: Mapping[str, str], *, program: str, runner: str) -> str:
    """CC_RUN_COMMAND, else scripts.start by `runner`, else main by `program`."""
    if env.get("CC_RUN_COMMAND", "").strip():
        return env["CC_RUN_COMMAND"].strip()
    if script(package, "start"):
        return runner
    main = package.get("main")
    if isinstance(main, str) and main.strip():
        return f"{program} {shlex.quote(main.strip())}"
    raise InvalidError(
        "package.json has neither scripts.start nor main: say how the app starts (or set CC_RUN_COMMAND); it must "
        "listen on 0.0.0.0:8080"
    )


def plain_start(package: Mapping[str, Any]) -> str:
    """scripts.start when it is one plain command, which needs no package runner around it; else nothing."""
    start = script(package, "start")
    hooked = script(package, "prestart") or script(package, "poststart")
    return "" if hooked or any(char in _SHELL for char in start) else start
