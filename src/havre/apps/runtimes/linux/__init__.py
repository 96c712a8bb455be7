"""Linux apps: what a command, a task of mise or a Makefile builds and starts. The page is README.md."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import PurePosixPath

from havre.apps.runtimes.plan import Command, Plan, is_true
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError

MAKEFILES = ("GNUmakefile", "makefile", "Makefile")  # make's own order
MISE_FILES = ("mise.toml", ".mise.toml")
# a Makefile of another name is not read here, so whether it has the target is asked of make
MAKE_BUILD = """\
make -f "$1" -n build > /dev/null 2>&1 || { echo "$1 has no target build"; exit 0; }
exec make -f "$1" build"""


class Linux:
    slug = "linux"
    type = "linux"
    name = "Linux"
    variant_id = "7f5b1c52-6f4e-4c1c-9d62-0a4be7a0a1f3"
    packages: tuple[str, ...] = ("git", "jq", "make", "openssl", "perl", "python3", "unzip", "xz-utils", "zip")
    programs: tuple[str, ...] = ()
    variables = frozenset({"CC_BUILD_COMMAND", "CC_MAKEFILE", "CC_DISABLE_MISE"})

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        tasks, has_tools = ((), False) if is_true(env.get("CC_DISABLE_MISE")) else mise_tasks(tree)
        makefile, targets = make_targets(tree, env)
        uses_mise = bool(tasks) or has_tools
        build: tuple[Command, ...] = (Command("mise install", ("mise", "install")),) if has_tools else ()
        build += self._build(env, tasks, makefile, targets)
        start = self._start(env, tasks, makefile, targets)
        mise_env = {
            "MISE_DATA_DIR": "$APP_ROOT/.havre-mise", "MISE_CACHE_DIR": "/home/bas/.cache/mise", "MISE_YES": "1",
            "MISE_STATE_DIR": "/tmp/mise", "MISE_TRUSTED_CONFIG_PATHS": "$APP_ROOT",
        }  # fmt: skip
        return Plan(
            runtime=self.slug,
            toolchains=("node", "bun", "uv", "caddy", *(("mise",) if uses_mise else ())),
            build=build,
            start=start,
            env=mise_env if uses_mise else {},
            lock_files=("package-lock.json", "bun.lock", "uv.lock", "go.sum", "Cargo.lock", *MISE_FILES),
            packages=self.packages,
        )

    def _build(
        self, env: Mapping[str, str], tasks: tuple[str, ...], makefile: str, targets: frozenset[str] | None
    ) -> tuple[Command, ...]:
        if own := env.get("CC_BUILD_COMMAND", "").strip():
            return (Command("CC_BUILD_COMMAND", hook=own),)
        if "build" in tasks:
            return (Command("mise run build", ("mise", "run", "build")),)
        if makefile and targets is None:
            return (Command(f"make -f {makefile} build", ("/bin/sh", "-c", MAKE_BUILD, "make", makefile), quiet=True),)
        return (Command("make build", ("make", "-f", makefile, "build")),) if targets and "build" in targets else ()

    def _start(
        self, env: Mapping[str, str], tasks: tuple[str, ...], makefile: str, targets: frozenset[str] | None
    ) -> str:
        if own := env.get("CC_RUN_COMMAND", "").strip():
            return own
        if "run" in tasks:
            return "mise run run"
        if makefile and (targets is None or "run" in targets):
            return f"make --no-print-directory -f {shlex.quote(makefile)} run"
        raise InvalidError(
            "nothing says how this app starts: set CC_RUN_COMMAND (it must listen on 0.0.0.0:8080), or give mise.toml "
            f"a task named run, or a Makefile a target named run{f' ({makefile} has none)' if makefile else ''}"
        )


def mise_tasks(tree: Tree) -> tuple[tuple[str, ...], bool]:
    """The names of the tasks of the app's mise.toml, and whether it asks for tools. Raises InvalidError."""
    name = tree.first(*MISE_FILES)
    if name is None:
        return (), False
    try:
        found = tomllib.loads(tree.texts.get(name, ""))
    except tomllib.TOMLDecodeError as cause:
        raise InvalidError(f"{name} is not valid TOML: {cause}") from cause
    tasks, tools = found.get("tasks"), found.get("tools")
    return tuple(tasks) if isinstance(tasks, dict) else (), bool(tools)


def make_targets(tree: Tree, env: Mapping[str, str]) -> tuple[str, frozenset[str] | None]:
    """The Makefile, if there is one, and its targets; None when it is not read here (CC_MAKEFILE)."""
    asked = env.get("CC_MAKEFILE", "").strip().removeprefix("/")
    if asked:
        path = PurePosixPath(asked)
        if ".." in path.parts:
            raise InvalidError(f"CC_MAKEFILE={asked} must be a file of the app")
        if len(path.parts) == 1 and asked not in tree:
            raise InvalidError(f"CC_MAKEFILE={asked} is not in the repository")
        if asked not in tree.texts:
            return asked, None
    name = asked or tree.first(*MAKEFILES) or ""
    text = tree.texts.get(name, "")
    return name, frozenset(re.findall(r"^([A-Za-z][\w-]*)\s*:(?!=)", text, re.M))


RUNTIME = Linux()
