"""The kinds of apps that this installation can run, and what all of them share of the build contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from havre.apps.runtimes import (
    bun,
    docker,
    elixir,
    haskell,
    linux,
    node,
    php,
    python,
    request_flow,
    ruby,
    static,
    static_apache,
)
from havre.apps.runtimes.archive import archive_commands
from havre.apps.runtimes.debian_packages import with_packages
from havre.apps.runtimes.plan import Command, Plan, Runtime, is_true
from havre.apps.runtimes.request_flow import checked_ports, public_port
from havre.apps.runtimes.request_flow import told as told_flow
from havre.apps.runtimes.tree import Tree, read_tree
from havre.base.errors import InvalidError

__all__ = [
    "RUNTIMES",
    "Command",
    "Plan",
    "Runtime",
    "Tree",
    "checked_ports",
    "detect",
    "is_true",
    "of",
    "public_port",
    "read_tree",
    "told_flow",
]

# the first of a type is what is meant by the type alone
RUNTIMES: dict[str, Runtime] = {
    each.slug: each
    for each in (
        docker.RUNTIME,
        elixir.RUNTIME,
        haskell.RUNTIME,
        linux.RUNTIME,
        node.RUNTIME,
        php.RUNTIME,
        python.RUNTIME,
        ruby.RUNTIME,
        static.RUNTIME,
        static_apache.RUNTIME,
    )
}
COMMON = frozenset(
    {
        "CC_PRE_BUILD_HOOK", "CC_POST_BUILD_HOOK", "CC_PRE_RUN_HOOK", "CC_RUN_COMMAND", "CC_HEALTH_CHECK_PATH",
        *(f"CC_HEALTH_CHECK_PATH_{number}" for number in range(6)),
        "CC_DISABLE_BUILD_CACHE_UPLOAD", "CC_OVERRIDE_BUILDCACHE", "CC_IGNORE_FROM_BUILDCACHE",
        "CC_DISABLE_GIT_SUBMODULES", "CC_GIT_FULL_CLONE", *request_flow.VARIABLES,
        # set by the platform, and read back by people with `clever env import`
        "CC_APP_NAME", "CC_COMMIT_ID", "CC_DEPLOYMENT_ID", "CC_PRETTY_INSTANCE_NAME", "CC_REVERSE_PROXY_IPS",
    }
)  # fmt: skip


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

    An app of type node that asks for Bun, by its lock file or CC_NODE_BUILD_TOOL, is Bun's.
    """
    runtime = of(slug)
    if slug == node.RUNTIME.slug and node.build_tool(tree, env) == "bun":
        plan = bun.detect(tree, env)
    else:
        plan = runtime.detect(tree, env, memory_mib=memory_mib)
    before = _hook(env, "CC_PRE_BUILD_HOOK")
    after = _hook(env, "CC_POST_BUILD_HOOK")
    unknown = sorted(name for name in env if name.startswith("CC_") and name not in COMMON | runtime.variables)
    notes = (f"not honoured by this installation: {', '.join(unknown)}",) if unknown else ()
    build = (*before, *plan.build, *after, *(() if plan.image else archive_commands(env, kept=plan.kept)))
    whole = with_packages(replace(plan, build=build, notes=(*plan.notes, *notes)), env)
    return whole if plan.image else request_flow.with_flow(whole, tree, env)


def _hook(env: Mapping[str, str], name: str) -> tuple[Command, ...]:
    return (Command(name, hook=env[name]),) if env.get(name, "").strip() else ()
