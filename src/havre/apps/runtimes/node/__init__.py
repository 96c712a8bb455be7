"""Node.js apps, installed by npm, pnpm or yarn. The page is README.md."""

from __future__ import annotations

from collections.abc import Mapping

from havre.apps.runtimes.node_versions import toolchain
from havre.apps.runtimes.package_json import manifest, plain_start, start_line
from havre.apps.runtimes.package_managers import (
    BERRY_ENV,
    BERRY_PROGRAM,
    NPM_LOCKS,
    build_tool,
    install_commands,
    is_berry,
    linker,
)
from havre.apps.runtimes.plan import Plan
from havre.apps.runtimes.tree import Tree

__all__ = ["RUNTIME", "build_tool"]


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
        told = {"NODE_OPTIONS": "--max-old-space-size=$HEAP_MIB", "NODE_ENV": "production"}
        program, runner = "node", plain_start(package) or "npm run start"
        if is_berry(tool, tree, package):
            told |= BERRY_ENV
            if linker(tree) == "pnp":
                program, runner = f"node {BERRY_PROGRAM} node", f"node {BERRY_PROGRAM} run start"
                told |= {"YARN_ENABLE_GLOBAL_CACHE": "false"}  # packages are read where they are: in the release
            elif not linker(tree):
                told |= {"YARN_NODE_LINKER": "node-modules"}  # as everywhere else
        return Plan(
            runtime=self.slug,
            toolchains=(toolchain(tree, env, package),),
            build=install_commands(tool, tree, env, package),
            start=start_line(package, env, program=program, runner=runner),
            env=told,
            lock_files=(*NPM_LOCKS, "yarn.lock", "pnpm-lock.yaml", "package.json"),
            dependencies=("node_modules",),
        )


RUNTIME = Node()
