"""Node.js apps, installed by npm, pnpm or yarn 1. The page is README.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from havre.apps.runtimes.package_json import manifest, plain_start, start_line
from havre.apps.runtimes.plan import Command, Plan
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError

TOOLS = ("npm", "npm-install", "npm-ci", "pnpm", "yarn", "bun", "custom")
LATER = ("yarn2", "yarn-berry")
LOCKS = {"yarn.lock": "yarn", "pnpm-lock.yaml": "pnpm", "bun.lock": "bun", "bun.lockb": "bun"}
NPM_LOCKS = ("package-lock.json", "npm-shrinkwrap.json")
VERSIONS = {"pnpm": "10", "yarn": "1.22.22"}
NPM_FLAGS = ("--no-audit", "--no-fund", "--no-update-notifier")
_MANAGER = re.compile(r"(npm|pnpm|yarn|bun)@(\d+(\.\d+){0,2}[\w.-]*)(\+\S*)?")


class Node:
    slug = "node"
    type = "node"
    name = "Node.js"
    variant_id = "395103fb-d6e2-4fdd-93bc-bc99146f1ea2"
    packages: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    variables = frozenset(
        {
            "CC_NODE_BUILD_TOOL", "CC_CUSTOM_BUILD_TOOL", "CC_NODE_DEV_DEPENDENCIES", "CC_NODE_VERSION",
            "CC_NPM_REGISTRY", "CC_NPM_TOKEN", "CC_NPM_BASIC_AUTH", "CC_BUN_INSTALL_CACHE_DIR",
        }
    )  # fmt: skip

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        package = manifest(tree)
        tool = build_tool(tree, env)
        return Plan(
            runtime=self.slug,
            toolchains=("node",),
            build=install_commands(tool, tree, env, package),
            start=start_line(package, env, program="node", runner=plain_start(package) or "npm run start"),
            env={"NODE_OPTIONS": "--max-old-space-size=$HEAP_MIB", "NODE_ENV": "production"},
            lock_files=(*NPM_LOCKS, "yarn.lock", "pnpm-lock.yaml", "package.json"),
            notes=notes(env),
        )


def notes(env: Mapping[str, str]) -> tuple[str, ...]:
    asked = env.get("CC_NODE_VERSION")
    return (f"CC_NODE_VERSION={asked} is not followed: this installation has one version of Node",) if asked else ()


def build_tool(tree: Tree, env: Mapping[str, str]) -> str:
    """CC_NODE_BUILD_TOOL, else by the lock file that is there, in the contract's order."""
    asked = env.get("CC_NODE_BUILD_TOOL", "").strip()
    if asked and asked not in (*TOOLS, *LATER):
        raise InvalidError(f"CC_NODE_BUILD_TOOL={asked} is not one of {', '.join((*TOOLS, *LATER))}")
    return asked or next((tool for lock, tool in LOCKS.items() if lock in tree), "npm-install")


def install_commands(tool: str, tree: Tree, env: Mapping[str, str], package: Mapping[str, Any]) -> tuple[Command, ...]:
    """What installs the app's dependencies. Raises InvalidError for what is not offered or does not fit together."""
    omits = env.get("CC_NODE_DEV_DEPENDENCIES", "").strip() == "ignore"
    if tool in LATER or (tool == "yarn" and _is_berry(tree, package)):
        raise InvalidError(
            "this app asks for yarn 2 or later, which is not offered here yet: use npm, pnpm, bun or yarn 1 "
            "(commit that tool's lock file in place of yarn.lock, or set CC_NODE_BUILD_TOOL)"
        )
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


def _with_dev(tool: str) -> tuple[str, ...]:
    return ("--prod=false",) if tool == "pnpm" else ("--production=false", "--non-interactive")


def _exec(tool: str, package: Mapping[str, Any]) -> tuple[str, ...]:
    """The package manager `tool` itself, fetched by npm at the version that package.json names."""
    named = _MANAGER.fullmatch(str(package.get("packageManager", "")))
    version = named[2] if named and named[1] == tool else VERSIONS[tool]
    return ("npm", "exec", "--yes", f"--package={tool}@{version}", "--", tool)


def _is_berry(tree: Tree, package: Mapping[str, Any]) -> bool:
    named = _MANAGER.fullmatch(str(package.get("packageManager", "")))
    return ".yarnrc.yml" in tree or bool(named and named[1] == "yarn" and not named[2].startswith("1"))


RUNTIME = Node()
