"""The kinds of apps that this installation can run, and what all of them share of the build contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from havre.apps import contract
from havre.apps.runtimes import (
    bun,
    docker,
    elixir,
    go,
    gradle,
    haskell,
    jar,
    linux,
    maven,
    node,
    php,
    play2,
    procfile,
    python,
    request_flow,
    ruby,
    rust,
    sbt,
    static,
    static_apache,
    war,
)
from havre.apps.runtimes.archive import archive_commands
from havre.apps.runtimes.debian_packages import with_packages
from havre.apps.runtimes.dependencies import dependency_commands
from havre.apps.runtimes.plan import Command, Plan, Runtime, is_true
from havre.apps.runtimes.request_flow import checked_ports, public_port
from havre.apps.runtimes.request_flow import told as told_flow
from havre.apps.runtimes.tree import Tree, read_tree
from havre.base.errors import InvalidError

__all__ = [
    "PRE_BUILD", "RUNTIMES", "Command", "Plan", "Runtime", "Tree", "checked_ports", "detect", "is_true", "of",
    "public_port", "read_tree", "told_flow",
]  # fmt: skip

# the first of a type is what is meant by the type alone
KINDS = (
    docker, elixir, go, haskell, jar, war, maven, gradle, sbt, play2, linux, node, php, python, ruby, rust, static,
    static_apache,
)  # fmt: skip
RUNTIMES: dict[str, Runtime] = {each.RUNTIME.slug: each.RUNTIME for each in KINDS}
PRE_BUILD = "CC_PRE_BUILD_HOOK"  # the name of its command too


def of(slug: str) -> Runtime:
    """The runtime of that slug. Raises InvalidError naming those that there are."""
    try:
        return RUNTIMES[slug]
    except KeyError:
        raise InvalidError(
            f"apps of type {slug} are not offered here; offered: {', '.join(sorted(RUNTIMES))}"
        ) from None


def detect(slug: str, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
    """The runtime's plan with the hooks around its build and the variables that nobody honours named.

    An app that says nowhere how it starts, but in `web` of a Procfile, is started so.
    """
    runtime = of(slug)
    plan, said = _planned(runtime, tree, env, memory_mib=memory_mib)
    before, after = _hook(env, PRE_BUILD), _hook(env, "CC_POST_BUILD_HOOK")
    restore, save = dependency_commands(plan, env)
    build = (*before, *restore, *plan.build, *save, *after)
    build = build if plan.image else (*build, *archive_commands(env, kept=plan.kept))
    notes = (*plan.notes, *said, *contract.notes(env, runtime.variables))
    whole = with_packages(replace(plan, build=build, notes=notes), env)
    return whole if plan.image else request_flow.with_flow(whole, tree, env)


def _planned(runtime: Runtime, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> tuple[Plan, tuple[str, ...]]:
    """The plan, and notes on the Procfile if that was needed. Raises InvalidError, the runtime's own words."""
    try:
        return _detected(runtime, tree, env, memory_mib=memory_mib), ()
    except InvalidError as refused:
        named = procfile.processes(tree.texts.get(procfile.FILE, ""))
        if "web" not in named or env.get("CC_RUN_COMMAND", "").strip():
            raise
        try:
            plan = _detected(runtime, tree, {**env, "CC_RUN_COMMAND": named["web"]}, memory_mib=memory_mib)
        except InvalidError:
            raise refused from None
    more = [name for name in named if name not in ("web", "release")]
    hint = f"; not started: {', '.join(more)} (CC_WORKER_COMMAND_0, … start workers)" if more else ""
    return plan, (f"started by web of the Procfile{hint}",)


def _detected(runtime: Runtime, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
    """An app of type node that asks for Bun, by its lock file or CC_NODE_BUILD_TOOL, is Bun's."""
    if runtime.slug == node.RUNTIME.slug and node.build_tool(tree, env) == "bun":
        return bun.detect(tree, env)
    return runtime.detect(tree, env, memory_mib=memory_mib)


def _hook(env: Mapping[str, str], name: str) -> tuple[Command, ...]:
    return (Command(name, hook=env[name]),) if env.get(name, "").strip() else ()
