"""Limits by control group: which hierarchy has which controller here, and what to write where.

Version 2 where the controller is delegated to us, version 1 where that is mounted, both at once on a hybrid machine; a
controller that is nowhere is left to resource limits and named by `havre doctor`.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

WANTED = ("memory", "cpu", "pids")
COUNTING = ("cpuacct",)  # of version 1; in version 2 `cpu` counts too
PERIOD_US = 100_000
OWN_LEAF = "havre-control"
DATA_ROOM_BYTES = 512 * 1024**2  # where memory cannot be limited for a group: above its flavor, for each process
RESERVE_BYTES = 512 * 1024**2


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
        base = _delegated(v2, Path(own), "")
        available = _words(base / "cgroup.controllers") if base else set()
        for name in WANTED:
            if base is not None and name in available and _enable(base, name):
                found[name] = (2, base)
    for name in (*WANTED, *COUNTING):
        if name not in found and name in v1 and not ("cpu" in found and found["cpu"][0] == 2 and name in COUNTING):
            base = _delegated(v1[name], Path(own), name)
            if base is not None:
                found[name] = (1, base)
    return Hierarchies(found)


def groups(
    hierarchies: Hierarchies, *, name: str, memory_bytes: int, cpus: float, pids: int, weight: int
) -> tuple[Group, ...]:
    """The groups of one unit called `name` (such as `havre-1a2b/<unit>`), with what to write in them.

    weight: 100 is usual. Swap counts as memory where the kernel counts it: a unit that may swap has no limit.
    """
    files: dict[tuple[int, Path], list[tuple[str, str]]] = {}
    for controller, (version, base) in hierarchies.controllers.items():
        place = files.setdefault((version, base), [])
        if controller == "memory" and version == 2:
            place += [("memory.max", str(memory_bytes)), ("memory.swap.max", "0"), ("memory.oom.group", "1")]
        elif controller == "memory":
            place += [(each, str(memory_bytes)) for each in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")]
        elif controller == "cpu" and version == 2:
            place += [("cpu.max", f"{int(cpus * PERIOD_US)} {PERIOD_US}"), ("cpu.weight", str(weight))]
        elif controller == "cpu":
            place += [("cpu.cfs_quota_us", str(int(cpus * PERIOD_US))), ("cpu.shares", str(weight * 1024 // 100))]
        elif controller == "pids":
            place.append(("pids.max", str(pids)))
    return tuple(Group(str(base / name), tuple(each)) for (_, base), each in files.items())


def bound(hierarchies: Hierarchies, tag: str, *, proc: str = "/proc") -> None:
    """Make the group of all units, with what they may use together: the machine less what it needs to stay alive.

    A limit that the kernel refuses is left out: each unit still has its own.
    """
    memory, pids = machine_bounds(Path(proc))
    for controller, (version, base) in hierarchies.controllers.items():
        files: list[tuple[str, str]] = []
        if controller == "memory":
            files.append(("memory.max" if version == 2 else "memory.limit_in_bytes", str(memory)))
        elif controller == "pids":
            files.append(("pids.max", str(pids)))
        try:
            (base / tag).mkdir(exist_ok=True)
            if version == 2:
                _enable(base / tag, controller)
        except OSError:
            continue
        for name, value in files:
            _write(base / tag / name, value)


def machine_bounds(proc: Path) -> tuple[int, int]:
    """Bytes and processes that all units together may have."""
    lines = dict(line.split(":", 1) for line in (proc / "meminfo").read_text().splitlines())
    total = int(lines["MemTotal"].split()[0]) * 1024
    memory = max(total // 2, total - max(RESERVE_BYTES, total // 10))
    pid_max = int((proc / "sys/kernel/pid_max").read_text())
    threads = int((proc / "sys/kernel/threads-max").read_text())
    return memory, min(pid_max, threads) * 3 // 4


def usage(hierarchies: Hierarchies, *, name: str) -> tuple[float | None, int | None, int]:
    """Processor time in ms, memory in bytes without what is easily given back, and kills for want of memory."""
    cpu, memory, kills = None, None, 0
    for controller, (version, base) in hierarchies.controllers.items():
        place = base / name
        if controller == "cpu" and version == 2 and (stat := _numbers(place / "cpu.stat")):
            cpu = stat.get("usage_usec", 0) / 1000
        elif controller == "cpuacct" and (spent := _number(place / "cpuacct.usage")) is not None:
            cpu = spent / 1_000_000
        elif controller == "memory":
            current = _number(place / ("memory.current" if version == 2 else "memory.usage_in_bytes"))
            inactive = "inactive_file" if version == 2 else "total_inactive_file"
            if current is not None:
                memory = max(0, current - _numbers(place / "memory.stat").get(inactive, 0))
            events = "memory.events" if version == 2 else "memory.oom_control"
            kills = _numbers(place / events).get("oom_kill", 0)
    return cpu, memory, kills


def forks_refused(hierarchies: Hierarchies, *, name: str) -> int | None:
    """How often a unit was refused another process or thread; None where nobody counts that."""
    if "pids" not in hierarchies.controllers:
        return None
    return _numbers(hierarchies.controllers["pids"][1] / name / "pids.events").get("max")


def clear(hierarchies: Hierarchies, name: str) -> None:
    """Remove the groups of a unit that is gone, and what is left in them: its monitor was killed while it started."""
    for base in {base for _, base in hierarchies.controllers.values()}:
        place = base / name
        for _ in range(20):
            for pid in sorted(_words(place / "cgroup.procs")):
                _kill(int(pid))
            try:
                place.rmdir()
                break
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.02)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _mounts(file: Path) -> tuple[Path | None, dict[str, Path]]:
    v2: Path | None = None
    v1: dict[str, Path] = {}
    for line in file.read_text().splitlines():
        _, place, kind, options, *_ = line.split(" ")
        if kind == "cgroup2":
            v2 = Path(place)
        elif kind == "cgroup":
            v1 |= {each: Path(place) for each in options.split(",") if each in (*WANTED, *COUNTING)}
    return v2, v1


def _delegated(mount: Path, own: Path, controller: str) -> Path | None:
    """Where below `mount` we may make groups: as root its root, else our own group if it was given to us.

    controller: of version 1; empty for version 2.
    """
    if os.getuid() == 0:
        return mount
    for line in own.read_text().splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(",") if controller else names == "":
            folder = mount / path.lstrip("/")
            folder = folder.parent if folder.name == OWN_LEAF else folder
            return folder if folder != mount and os.access(folder, os.W_OK) else None
    return None


def _enable(base: Path, name: str) -> bool:
    control = base / "cgroup.subtree_control"
    if name in _words(control):
        return True
    if not _write(control, f"+{name}") and _step_aside(base):
        _write(control, f"+{name}")
    return name in _words(control)


def _step_aside(base: Path) -> bool:
    """Version 2 hands controllers down only from a group without processes: move those, ours, into a group below."""
    leaf = base / OWN_LEAF
    try:
        leaf.mkdir(exist_ok=True)
        for pid in _words(base / "cgroup.procs"):
            (leaf / "cgroup.procs").write_text(pid)
    except OSError:
        return False
    return True


def _write(file: Path, text: str) -> bool:
    try:
        file.write_text(text)
    except OSError:
        return False
    return True


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _numbers(file: Path) -> dict[str, int]:
    try:
        pairs = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return {}
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _words(file: Path) -> set[str]:
    try:
        return set(file.read_text().split())
    except OSError:
        return set()
