"""The Node that an app gets: `engines.node`, CC_NODE_VERSION, `.nvmrc`, `.node-version`, in this order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from semantic_version import NpmSpec, Version

from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError
from havre.drivers import toolchains

LINES = {"argon": "4", "boron": "6", "carbon": "8", "dubnium": "10", "erbium": "12", "fermium": "14"}
LINES |= {"gallium": "16", "hydrogen": "18", "iron": "20", "jod": "22", "krypton": "24"}
NEWEST = ("", "*", "latest", "node", "stable", "lts", "lts/*", "current")
_SPACES = re.compile(r"(>=|<=|>|<|=|\^|~)\s+")


def toolchain(tree: Tree, env: Mapping[str, str], package: Mapping[str, Any]) -> str:
    """The toolchain of Node that the app asks for: the newest offered that fits, whatever asked.

    Raises InvalidError, naming who asked for what and what there is, when none fits.
    """
    installed = toolchains.node_version()
    for who, asked in _asked(tree, env, package):
        found = _newest(asked, who, installed)
        return "node" if found == installed else f"node@{found}"
    return "node"


def offered(installed: str) -> list[str]:
    """Every version that can be had, the newest first."""
    return sorted({*toolchains.NODE_VERSIONS, installed}, key=Version, reverse=True)


def _asked(tree: Tree, env: Mapping[str, str], package: Mapping[str, Any]) -> list[tuple[str, str]]:
    engines = package.get("engines")
    engine = engines.get("node") if isinstance(engines, dict) else None
    said = [("engines.node of package.json", engine if isinstance(engine, str) else "")]
    said += [("CC_NODE_VERSION", env.get("CC_NODE_VERSION", ""))]
    said += [(name, tree.texts.get(name, "")) for name in (".nvmrc", ".node-version")]
    return [(who, text.strip()) for who, text in said if text.strip()]


def _newest(asked: str, who: str, installed: str) -> str:
    name = asked.splitlines()[0].strip().lower()
    if name in NEWEST:
        return installed
    name = LINES.get(name.removeprefix("lts/"), name)
    try:
        spec = NpmSpec(_SPACES.sub(r"\1", re.sub(r"\bv(?=\d)", "", name)))
    except ValueError as cause:
        raise InvalidError(f"{who} asks for Node {asked!r}, which is not a version or a range of versions") from cause
    for version in offered(installed):
        if Version(version) in spec:
            return version
    lines = sorted({version.partition(".")[0] for version in offered(installed)}, key=int, reverse=True)
    raise InvalidError(f"{who} asks for Node {asked}, which cannot be had here: there is Node {', '.join(lines)}")
