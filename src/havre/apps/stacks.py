"""Which stack a build and an instance see as their root: what every app has, and what its runtime adds.

The packages here are asked for by name; what they need comes with them. Where the host has no apt, units see the
host's own /usr, and a runtime whose programs are not in it is refused.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from havre.apps.runtimes import Plan, Runtime
from havre.base.errors import UnavailableError
from havre.drivers import debian
from havre.drivers.debian import Stacks

BASE = (
    "base-files", "base-passwd", "bash", "ca-certificates", "coreutils", "curl", "dash", "diffutils", "findutils",
    "grep", "gzip", "hostname", "libatomic1", "libc-bin", "libstdc++6", "mawk", "netbase", "procps", "sed", "tar",
    "tzdata",
)  # fmt: skip
BUILD = (
    "bzip2", "file", "g++", "gcc", "git", "libc6-dev", "make", "openssh-client", "openssl", "patch", "pkg-config",
    "python3", "python3-dev", "python3-venv", "unzip", "xz-utils", "zip",
)  # fmt: skip


PROGRAMS = "/usr/bin:/usr/sbin:/usr/local/bin"
FRESH_S = 600.0  # how old the lists may be when somebody asks for today's packages


@dataclass(frozen=True)
class Roots:
    """What the build and the instances of one deployment see as their root: ids of stacks; empty: the host's /usr."""

    build: str = ""
    run: str = ""


def run_packages(plan: Plan) -> tuple[str, ...]:
    return tuple(sorted({*BASE, *plan.packages}))


def build_packages(plan: Plan) -> tuple[str, ...]:
    return tuple(sorted({*BASE, *BUILD, *plan.packages, *plan.build_packages}))


def open_stacks(folder: Path, environment: Mapping[str, str], *, now: Callable[[], int]) -> Stacks | None:
    """The stacks of this machine; None where they cannot be made."""
    return None if debian.missing() else Stacks(folder, environment, now=now)


def lack(runtime: Runtime) -> str:
    """What a host without stacks lacks for the apps of `runtime`, with what to do; empty: nothing."""
    absent = [name for name in runtime.programs if shutil.which(name, path=PROGRAMS) is None]
    if not absent:
        return ""
    return (
        f"this machine has no {' and no '.join(absent)}; install it, or apt-get and dpkg-deb, with which Havre fetches "
        f"{', '.join(runtime.packages)} by itself"
    )


async def roots(
    stacks: Stacks | None, plan: Plan, *, with_build: bool, fresh_s: float, tell: Callable[[str], None]
) -> Roots:
    """The roots of a deployment of `plan`, made if need be. fresh_s: how old the lists of packages may be."""
    if stacks is None:
        return Roots()
    build = await stacks.obtain(build_packages(plan), fresh_s=fresh_s, tell=tell) if with_build else None
    run = await stacks.obtain(run_packages(plan), fresh_s=fresh_s, tell=tell)
    return Roots(build.id if build is not None else "", run.id)


async def may_run(stacks: Stacks | None, built_on: str, plan: Plan, *, fresh_s: float) -> bool:
    """Whether a release made for the stack `built_on` runs, without being built again, on the one of today."""
    if stacks is None or not built_on:
        return stacks is None and not built_on
    old = stacks.get(built_on)
    return old is not None and debian.may_follow(old.closure, await stacks.today(run_packages(plan), fresh_s=fresh_s))


def describe(stacks: Stacks | None, roots: Roots) -> tuple[str, ...]:
    """Lines for the build log."""
    if stacks is None:
        return ("Stack: the programs of this machine (no apt here: see havre doctor)",)
    shown = []
    for what, id in (("build", roots.build), ("app", roots.run)):
        found = stacks.get(id) if id else None
        if found is not None:
            size = f"{len(found.closure.packages)} packages, {found.bytes // 1024**2} MiB"
            shown.append(f"Stack of the {what}: {found.id} ({size})")
    return tuple(shown)


def tree_of(stacks: Stacks | None, id: str) -> Path | None:
    """The tree of a stack by its id; None: the host's /usr. Raises UnavailableError when the stack is gone."""
    if not id:
        return None
    found = stacks.get(id) if stacks is not None else None
    if found is None:
        raise UnavailableError(f"{id} is not on this machine any more; deploy the app again")
    return found.tree


async def prepare(folder: Path, environment: Mapping[str, str]) -> str:
    """Make the stacks that every installation needs, for `make setup`; a sentence about them."""
    stacks = open_stacks(folder, environment, now=lambda: time.time_ns() // 1_000_000)
    if stacks is None:
        return f"none: no {', no '.join(debian.missing())}; apps see this machine's programs"
    plan = Plan("any", (), (), "")
    found = await roots(stacks, plan, with_build=True, fresh_s=debian.REFRESH_S, tell=debian.silent)
    build, run = stacks.get(found.build), stacks.get(found.run)
    sizes = [f"{each.bytes // 1024**2} MiB" for each in (build, run) if each is not None]
    return f"Debian packages for builds ({sizes[0]}) and apps ({sizes[-1]})"
