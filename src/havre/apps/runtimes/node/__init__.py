"""Node.js apps: npm by default, Bun when the lock file is Bun's. The page is README.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from havre.apps.runtimes.plan import Command, Plan
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError

TOOLS = ("npm", "npm-install", "npm-ci", "bun", "custom")
LATER = ("yarn", "yarn2", "yarn-berry", "pnpm")
LOCKS = {"yarn.lock": "yarn", "pnpm-lock.yaml": "pnpm", "bun.lock": "bun", "bun.lockb": "bun"}


class Node:
    slug = "node"
    type = "node"
    name = "Node.js"
    variant_id = "395103fb-d6e2-4fdd-93bc-bc99146f1ea2"
    variables = frozenset(
        {"CC_NODE_BUILD_TOOL", "CC_CUSTOM_BUILD_TOOL", "CC_NODE_DEV_DEPENDENCIES", "CC_NPM_REGISTRY", "CC_NPM_TOKEN"}
    )

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        package = manifest(tree)
        tool = build_tool(tree, env)
        if tool in LATER:
            lock = next((name for name, of in LOCKS.items() if of == tool and name in tree), "CC_NODE_BUILD_TOOL")
            raise InvalidError(f"{lock} asks for {tool}, which is not offered here yet: use npm or bun")
        if tool == "bun":
            from havre.apps.runtimes import bun

            return bun.plan(tree, env, package)
        heap = memory_mib * 3 // 4
        return Plan(
            runtime=self.slug,
            toolchains=("node",),
            build=install_commands(tool, tree, env),
            start=env.get("CC_RUN_COMMAND") or start_line(package, "node", "npm run start"),
            env={"NODE_OPTIONS": f"--max-old-space-size={heap}", "NODE_ENV": "production"} | tokens(env),
            lock_files=("package-lock.json", "npm-shrinkwrap.json", "package.json"),
        )


def manifest(tree: Tree) -> dict[str, Any]:
    """package.json. Raises InvalidError when it is missing."""
    if "package.json" not in tree:
        raise InvalidError(
            "no package.json at the top of the repository: a node app needs one with scripts.start or main "
            "(is the app in a sub-folder? then set APP_FOLDER)"
        )
    return tree.json("package.json")


def build_tool(tree: Tree, env: Mapping[str, str]) -> str:
    """CC_NODE_BUILD_TOOL, else by the lock file that is there."""
    asked = env.get("CC_NODE_BUILD_TOOL", "").strip()
    if asked and asked not in (*TOOLS, *LATER):
        raise InvalidError(f"CC_NODE_BUILD_TOOL={asked} is not one of {', '.join((*TOOLS, *LATER))}")
    return asked or next((tool for lock, tool in LOCKS.items() if lock in tree), "npm-install")


def install_commands(tool: str, tree: Tree, env: Mapping[str, str]) -> tuple[Command, ...]:
    if tool == "custom":
        line = env.get("CC_CUSTOM_BUILD_TOOL", "")
        if not line:
            raise InvalidError("CC_NODE_BUILD_TOOL=custom needs CC_CUSTOM_BUILD_TOOL, the command to run")
        return (Command("CC_CUSTOM_BUILD_TOOL", hook=line),)
    verb = "ci" if tool == "npm-ci" else "install"
    if verb == "ci" and tree.first("package-lock.json", "npm-shrinkwrap.json") is None:
        raise InvalidError("npm ci needs package-lock.json: run npm install and commit it")
    omit = ("--omit=dev",) if env.get("CC_NODE_DEV_DEPENDENCIES", "") == "ignore" else ("--include=dev",)
    return (Command(f"npm {verb}", ("npm", verb, *omit, "--no-audit", "--no-fund", "--no-update-notifier")),)


def start_line(package: Mapping[str, Any], program: str, runner: str) -> str:
    """scripts.start, else main. A start script that is one plain command is run without the package runner."""
    scripts = package.get("scripts") or {}
    start = scripts.get("start") if isinstance(scripts, dict) else None
    if isinstance(start, str) and start.strip():
        hooked = {"prestart", "poststart"} & set(scripts)
        return runner if hooked or any(char in start for char in "&|;<>()$`\\\"'=*?[]{}~#\n") else start.strip()
    main = package.get("main")
    if isinstance(main, str) and main.strip():
        return f"{program} {quoted(main.strip())}"
    raise InvalidError(
        "package.json has neither scripts.start nor main: say how the app starts (or set CC_RUN_COMMAND); it must "
        "listen on 0.0.0.0:8080"
    )


def quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)


def tokens(env: Mapping[str, str]) -> dict[str, str]:
    found = {}
    if env.get("CC_NPM_REGISTRY"):
        found["NPM_CONFIG_REGISTRY"] = env["CC_NPM_REGISTRY"]
    if env.get("CC_NPM_TOKEN"):
        found["NPM_TOKEN"] = env["CC_NPM_TOKEN"]
    return found


RUNTIME = Node()
