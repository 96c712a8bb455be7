"""What the runtimes of the Java family share: which Java, what it is told, and how a finished app is started.

Builds use the Java that Debian has, whose compiler is the only one; apps run on it, or on a runtime of another
version from the Python package index (`CC_JAVA_VERSION`).
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from havre.apps.runtimes.plan import Command, Plan, is_true
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError

COMPILER = "17"
VERSIONS = ("11", "17", "21", "25")
HOME = (
    f"/usr/lib/jvm/java-{COMPILER}-openjdk-{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(platform.machine(), 'amd64') }"
)
PACKAGES = (f"openjdk-{COMPILER}-jre-headless",)
BUILD_PACKAGES = (f"openjdk-{COMPILER}-jdk-headless",)
PROGRAMS = ("java", "javac", "unzip")
VARIABLES = frozenset(
    {"CC_JAVA_VERSION", "CC_EXTRA_JAVA_ARGS", "CC_JAR_PATH", "CC_JAR_ARGS", "CC_DISABLE_MAX_METASPACE"}
)
TRUST = "-Djavax.net.ssl.trustStore=/opt/havre/trust/cacerts"


@dataclass(frozen=True)
class Build:
    """How a tool builds an app. tools: toolchains of the build. packages: Debian's for it."""

    commands: tuple[Command, ...] = ()
    tools: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    lock_files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Java:
    """The Java that an app runs on."""

    version: str

    @property
    def is_debians(self) -> bool:
        return self.version == COMPILER

    @property
    def home(self) -> str:
        return HOME if self.is_debians else "/opt/havre/jre"


def java(env: Mapping[str, str]) -> Java:
    """CC_JAVA_VERSION, else the compiler's. Raises InvalidError for one that is not offered."""
    asked = env.get("CC_JAVA_VERSION", "").strip() or COMPILER
    if asked not in VERSIONS:
        raise InvalidError(
            f"CC_JAVA_VERSION={asked} is not offered here; offered: {', '.join(VERSIONS)} (apps are compiled with "
            f"{COMPILER} and run on any of them)"
        )
    return Java(asked)


def options(env: Mapping[str, str], *, heap: int, caps_metaspace: bool) -> str:
    """JAVA_TOOL_OPTIONS: the JVM does not see a sandbox's limits by itself. heap: per cent of the memory."""
    capped = caps_metaspace and not is_true(env.get("CC_DISABLE_MAX_METASPACE"))
    return " ".join(
        (
            f"-Xmx$MIB_{heap}m",
            *(("-XX:MaxMetaspaceSize=$MIB_25m",) if capped else ()),
            "-XX:ActiveProcessorCount=$CPUS",
            TRUST,
        )
    )


def plan(
    runtime: str,
    env: Mapping[str, str],
    build: Build,
    finish: tuple[Command, ...],
    start: str,
    *,
    toolchains: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    own_env: Mapping[str, str] | None = None,
) -> Plan:
    """The plan of an app of the family. finish: commands after its build. toolchains, own_env: beside Java's."""
    found = java(env)
    runtimes = ("trust",) if found.is_debians else ("trust", f"jre@{found.version}")
    of_run = {"JAVA_HOME": found.home, "JAVA_TOOL_OPTIONS": options(env, heap=60, caps_metaspace=True)}
    of_build = {"JAVA_HOME": HOME, "JAVA_TOOL_OPTIONS": options(env, heap=40, caps_metaspace=False)}
    return Plan(
        runtime=runtime,
        toolchains=(*runtimes, *toolchains),
        build=(*build.commands, *finish),
        start=start,
        env=of_run | dict(own_env or {}),
        lock_files=build.lock_files,
        notes=(f"runs on Java {found.version}", *build.notes, *notes),
        packages=PACKAGES if found.is_debians else (),
        build_packages=(*BUILD_PACKAGES, *build.packages),
        build_toolchains=build.tools,
        build_env=of_build | dict(build.env),
    )


def deploy_file(tree: Tree, kind: str) -> dict[str, Any]:
    """`clevercloud/<kind>.json`; empty when there is none."""
    name = f"clevercloud/{kind}.json"
    return tree.json(name) if name in tree else {}


def goal_of(tree: Tree, kind: str, env: Mapping[str, str], variable: str) -> str:
    """What is asked of the build tool: the variable, else the deploy file's `deploy.goal` or `build.goal`."""
    found = deploy_file(tree, kind)
    for text in (env.get(variable), *(_text(found.get(part), "goal") for part in ("deploy", "build"))):
        if text and text.strip():
            return text.strip()
    return ""


def _text(table: Any, name: str) -> str:
    found = table.get(name) if isinstance(table, dict) else None
    return found if isinstance(found, str) else ""
