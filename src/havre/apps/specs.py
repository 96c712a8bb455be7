"""What an instance of an app is started as: a unit as data. Builds are in `build`, their keys in `cache`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from havre.apps.build import build_script, build_spec
from havre.apps.cache import cache_key, release_key
from havre.apps.model import App, Deployment, Instance
from havre.apps.runtimes import Plan
from havre.apps.variables import home, variables
from havre.base.flavors import flavor
from havre.base.ids import UnitId
from havre.drivers.toolchains import Toolchain
from havre.kernel.config import Paths
from havre.kernel.units import Bind, Limits, UnitSpec

__all__ = ["build_script", "build_spec", "cache_key", "home", "instance_spec", "release_key", "start_line"]

BYTES_FOR_EACH_FILE = 8192  # a file in memory costs about one KiB even when it is empty
_SHELL = set("&|;<>()`\n")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_BUILTIN = frozenset(
    {".", "cd", "command", "eval", "exec", "exit", "export", "for", "if", "set", "source", "trap", "ulimit", "umask",
     "until", "wait", "while", "{", "!"}
)  # fmt: skip


@dataclass(frozen=True)
class Doors:
    """The ways into an instance: the app's socket, that of its TCP redirections, and one of the instance alone."""

    shared: Path
    handed: Path
    own: Path


def instance_spec(
    *,
    paths: Paths,
    app: App,
    deployment: Deployment,
    plan: Plan,
    toolchains: Sequence[Toolchain],
    instance: Instance,
    doors: Doors,
    log: Path,
    tree: Path | None = None,
) -> UnitSpec:
    """One instance: the release as it was built, what it writes gone with it. tree: of its stack; None: the host's."""
    size = flavor(instance.flavor)
    env = variables(
        app=app,
        deployment=deployment,
        plan=plan,
        toolchains=toolchains,
        instance_id=instance.id,
        number=instance.number,
        kind="production",
        memory_mib=size.memory_mib,
    )
    labels = {"app": app.id, "deployment": deployment.id, "kind": "instance", "generation": str(instance.generation)}
    labels |= {"number": str(instance.number), "commit": deployment.commit_id, "flavor": size.name}
    release = deployment.release_id or deployment.id
    return UnitSpec(
        id=UnitId(instance.id),
        kind="instance",
        argv=("/bin/sh", "-c", start_line(plan.start, env)),
        env=env,
        cwd=env["APP_ROOT"],
        limits=Limits(size.memory_bytes, float(size.cpus), weight=10 if size.is_shared else 100),
        log=log,
        labels=labels,
        binds=tuple(Bind(each.source, each.target) for each in toolchains),
        overlays=(Bind(paths.releases / app.id / release, home(app)),),
        uid=app.uid,
        listen=doors.shared,
        handed=doors.handed,
        door=doors.own,
        scratch_bytes=size.memory_bytes // 2,
        scratch_files=size.memory_bytes // 2 // BYTES_FOR_EACH_FILE,
        tree=tree,
    )


def start_line(start: str, env: Mapping[str, str]) -> str:
    """The shell's line: the pre-run hook, whose failure is the instance's, then the app.

    The app takes the shell's place when `start` is one plain command, so that SIGTERM reaches it.
    """
    words = start.split(maxsplit=1)
    first = words[0] if words else ""
    if any(char in _SHELL for char in start) or first in _BUILTIN:
        line = start
    elif _ASSIGNMENT.match(first):
        line = f"exec env {start}"
    else:
        line = f"exec {start}"
    hook = env.get("CC_PRE_RUN_HOOK", "").strip()
    return f"/bin/sh -c {shlex.quote(hook)} || exit $?\n{line}" if hook else line
