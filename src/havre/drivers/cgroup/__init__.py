"""Limits by control group: which hierarchy has which controller here, and what to write where.

Version 2 where the controller is delegated to us, version 1 where that is mounted, both at once on a hybrid machine; a
controller that is nowhere is left to resource limits and named by `havre doctor`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

WANTED = ("memory", "cpu", "pids")
PERIOD_US = 100_000


@dataclass(frozen=True, slots=True)
class Group:
    """One directory to make and the files to write in it, in order."""

    folder: str
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """Where each controller can be used by us: controller -> (version, directory below which we may make groups)."""

    controllers: dict[str, tuple[int, Path]]

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(each for each in WANTED if each not in self.controllers)

    def describe(self) -> str:
        versions = sorted({version for version, _ in self.controllers.values()})
        return " and ".join(f"cgroup v{version}" for version in versions) or "none"


def probe(*, mounts: str = "/proc/self/mounts", own: str = "/proc/self/cgroup") -> Hierarchies:
    """Look for each controller: version 2 first, then version 1."""
    v2, v1 = _mounts(Path(mounts))
    found: dict[str, tuple[int, Path]] = {}
    if v2 is not None:
        base = _delegated(v2, Path(own))
        available = _words(base / "cgroup.controllers") if base else set()
        for name in WANTED:
            if base is not None and name in available and _enable(base, name):
                found[name] = (2, base)
    for name in WANTED:
        if name not in found and name in v1 and os.access(v1[name], os.W_OK):
            found[name] = (1, v1[name])
    return Hierarchies(found)


def groups(
    hierarchies: Hierarchies, *, name: str, memory_bytes: int, cpus: float, pids: int, shared: bool
) -> tuple[Group, ...]:
    """The groups of one unit called `name` (such as `havre-1a2b/<unit>`), with what to write in them."""
    files: dict[tuple[int, Path], list[tuple[str, str]]] = {}
    for controller, (version, base) in hierarchies.controllers.items():
        place = files.setdefault((version, base), [])
        if controller == "memory" and version == 2:
            place += [("memory.max", str(memory_bytes)), ("memory.oom.group", "1")]
        elif controller == "memory":
            place.append(("memory.limit_in_bytes", str(memory_bytes)))
        elif controller == "cpu" and version == 2:
            place += [("cpu.max", f"{int(cpus * PERIOD_US)} {PERIOD_US}"), ("cpu.weight", "10" if shared else "100")]
        elif controller == "cpu":
            place += [("cpu.cfs_quota_us", str(int(cpus * PERIOD_US))), ("cpu.shares", "102" if shared else "1024")]
        elif controller == "pids":
            place.append(("pids.max", str(pids)))
    return tuple(Group(str(base / name), tuple(each)) for (_, base), each in files.items())


def _mounts(file: Path) -> tuple[Path | None, dict[str, Path]]:
    v2: Path | None = None
    v1: dict[str, Path] = {}
    for line in file.read_text().splitlines():
        _, place, kind, options, *_ = line.split(" ")
        if kind == "cgroup2":
            v2 = Path(place)
        elif kind == "cgroup":
            v1 |= {each: Path(place) for each in options.split(",") if each in WANTED}
    return v2, v1


def _delegated(mount: Path, own: Path) -> Path | None:
    """The directory of the unified hierarchy in which we may make groups: the root as root, else our own one's."""
    if os.getuid() == 0:
        return mount
    for line in own.read_text().splitlines():
        if line.startswith("0::"):
            folder = mount / line[3:].lstrip("/")
            return folder if os.access(folder, os.W_OK) else None
    return None


def _enable(base: Path, name: str) -> bool:
    control = base / "cgroup.subtree_control"
    if name in _words(control):
        return True
    try:
        control.write_text(f"+{name}")
    except OSError:
        return False
    return name in _words(control)


def _words(file: Path) -> set[str]:
    try:
        return set(file.read_text().split())
    except OSError:
        return set()
