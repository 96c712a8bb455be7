"""What installs the packages of a Node app: npm, pnpm, yarn 1, yarn 2 and later, or a command of the app's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from havre.apps.runtimes.plan import Command
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError

TOOLS = ("npm", "npm-install", "npm-ci", "pnpm", "yarn", "yarn2", "yarn-berry", "bun", "custom")
LOCKS = {"yarn.lock": "yarn", "pnpm-lock.yaml": "pnpm", "bun.lock": "bun", "bun.lockb": "bun"}
NPM_LOCKS = ("package-lock.json", "npm-shrinkwrap.json")
VERSIONS = {"pnpm": "10", "yarn": "1.22.22", "yarn-berry": "4"}
NPM_FLAGS = ("--no-audit", "--no-fund", "--no-update-notifier")
BERRY = ".havre-yarn"  # yarn itself, in the release: an app with Plug'n'Play is started by it
BERRY_PROGRAM = f"{BERRY}/node_modules/@yarnpkg/cli-dist/bin/yarn.js"
BERRY_ENV = {"YARN_ENABLE_TELEMETRY": "0", "YARN_GLOBAL_FOLDER": "/home/bas/.cache/yarn-berry"}
# yarn 2 and later is told of its registry and proxy by variables of its own only; the folder named for yarn 1's cache
# would take the place of a cache that the repository holds
BERRY_SETTING = """
unset YARN_CACHE_FOLDER
[ -z "${HTTPS_PROXY:-}" ] || export YARN_HTTP_PROXY="${HTTP_PROXY:-$HTTPS_PROXY}" YARN_HTTPS_PROXY="$HTTPS_PROXY"
registry=$(npm config get registry)
[ -n "${YARN_NPM_REGISTRY_SERVER:-}" ] || export YARN_NPM_REGISTRY_SERVER="${registry%/}"
exec "$@"
"""
_MANAGER = re.compile(r"(npm|pnpm|yarn|bun)@(\d+(\.\d+){0,2}[\w.-]*)(\+\S*)?")
_LINKER = re.compile(r"^nodeLinker:\s*[\"']?([\w-]+)", re.M)


def build_tool(tree: Tree, env: Mapping[str, str]) -> str:
    """CC_NODE_BUILD_TOOL, else by the lock file that is there, in the contract's order."""
    asked = env.get("CC_NODE_BUILD_TOOL", "").strip()
    if asked and asked not in TOOLS:
        raise InvalidError(f"CC_NODE_BUILD_TOOL={asked} is not one of {', '.join(TOOLS)}")
    return asked or next((tool for lock, tool in LOCKS.items() if lock in tree), "npm-install")


def is_berry(tool: str, tree: Tree, package: Mapping[str, Any]) -> bool:
    """Whether it is yarn 2 or later that the app means."""
    named = _MANAGER.fullmatch(str(package.get("packageManager", "")))
    is_later = ".yarnrc.yml" in tree or bool(named and named[1] == "yarn" and not named[2].startswith("1"))
    return tool in ("yarn2", "yarn-berry") or (tool == "yarn" and is_later)


def linker(tree: Tree) -> str:
    """How the app of a yarn 2 or later wants its packages: `pnp`, another kind by its name, or empty: not said."""
    said = _LINKER.search(tree.texts.get(".yarnrc.yml", ""))
    return said[1] if said else "pnp" if ".pnp.cjs" in tree else ""


def install_commands(tool: str, tree: Tree, env: Mapping[str, str], package: Mapping[str, Any]) -> tuple[Command, ...]:
    """What installs the app's dependencies. Raises InvalidError for what does not fit together."""
    omits = env.get("CC_NODE_DEV_DEPENDENCIES", "").strip() == "ignore"
    if is_berry(tool, tree, package):
        return _berry(tree, package, omits=omits)
    if tool == "custom":
        line = env.get("CC_CUSTOM_BUILD_TOOL", "")
        if not line:
            raise InvalidError("CC_NODE_BUILD_TOOL=custom needs CC_CUSTOM_BUILD_TOOL, the command to run")
        return (Command("CC_CUSTOM_BUILD_TOOL", hook=line),)
    if tool in ("pnpm", "yarn"):
        frozen = ("--frozen-lockfile",) if tree.first(*(lock for lock in LOCKS if LOCKS[lock] == tool)) else ()
        dev = (("--prod",) if tool == "pnpm" else ("--production=true",)) if omits else _with_dev(tool)
        return (Command(f"{tool} install", (*_exec(tool, package), "install", *frozen, *dev)),)
    verb = "ci" if tool == "npm-ci" else "install"
    if verb == "ci" and tree.first(*NPM_LOCKS) is None:
        raise InvalidError("npm ci needs package-lock.json: run npm install and commit it")
    dev = ("--omit=dev",) if omits else ("--include=dev",)
    return (Command(f"npm {verb}", ("npm", verb, *dev, *NPM_FLAGS)),)


def _berry(tree: Tree, package: Mapping[str, Any], *, omits: bool) -> tuple[Command, ...]:
    """yarn 2 and later: itself by npm, without corepack; then the packages, exactly those of the lock file."""
    name = f"@yarnpkg/cli-dist@{_version('yarn-berry', package)}"
    where = ("--prefix", BERRY, "--no-save", "--no-package-lock")
    yarn = ("/bin/sh", "-c", BERRY_SETTING, "yarn", "node", BERRY_PROGRAM)
    frozen = ("--immutable",) if "yarn.lock" in tree else ("--no-immutable",)
    verb = ("workspaces", "focus", "--all", "--production") if omits else ("install", *frozen)
    return (
        Command("yarn", ("npm", "install", *where, *NPM_FLAGS, name), quiet=True),
        Command(f"yarn {' '.join(verb)}", (*yarn, *verb), quiet=True),
    )


def _with_dev(tool: str) -> tuple[str, ...]:
    return ("--prod=false",) if tool == "pnpm" else ("--production=false", "--non-interactive")


def _exec(tool: str, package: Mapping[str, Any]) -> tuple[str, ...]:
    """The package manager `tool` itself, fetched by npm at the version that package.json names."""
    return ("npm", "exec", "--yes", f"--package={tool}@{_version(tool, package)}", "--", tool)


def _version(tool: str, package: Mapping[str, Any]) -> str:
    named = _MANAGER.fullmatch(str(package.get("packageManager", "")))
    return named[2] if named and named[1] == tool.removesuffix("-berry") else VERSIONS[tool]
