"""What an operator is told of the machine: its findings, and what the installation takes on its disk.

Looked at when somebody asks, by one at a time, and kept for a while: it costs a few processes, and a look through every
file that there is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

import anyio
import anyio.to_thread

from havre.drivers import disk
from havre.kernel import doctor
from havre.kernel.clock import Clock
from havre.kernel.config import Config, Paths
from havre.kernel.kernel import Kernel

T = TypeVar("T")
Scope = Literal["all", "app", "release"]
FINDINGS_KEPT_S, DISK_KEPT_S = 10.0, 60.0
MEASURE_S = 20.0


@dataclass(frozen=True, slots=True)
class Part:
    """A part of what is kept. used_bytes None: not measured in time. limit: of the whole part, or of each app or
    release in it; None: there is none."""

    name: str
    places: tuple[Path, ...]
    used_bytes: int | None = None
    limit_bytes: int | None = None
    limit_of: Scope | None = None


@dataclass(frozen=True, slots=True)
class DiskUse:
    """The disk that the data folder is on. `at`: when it was looked at."""

    place: Path
    total_bytes: int
    free_bytes: int
    free_files: int
    parts: tuple[Part, ...]
    at: int


class Machine:
    """The machine of one installation."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._findings = _Kept(kernel.clock, FINDINGS_KEPT_S, self._examine)
        self._disk = _Kept(kernel.clock, DISK_KEPT_S, self._measure)

    async def findings(self) -> tuple[doctor.Finding, ...]:
        """What `havre doctor` prints while the installation runs."""
        return await self._findings.get()

    async def disk(self) -> DiskUse:
        """What each part takes, as far as it is measured within `MEASURE_S`."""
        return await self._disk.get()

    def _examine(self) -> tuple[doctor.Finding, ...]:
        return tuple(doctor.examine(self._kernel.config, self._kernel.paths, running=True))

    def _measure(self) -> DiskUse:
        data = self._kernel.paths.data
        parts = measure(parts_of(self._kernel.paths, self._kernel.config), limit_s=MEASURE_S)
        seen = os.statvfs(data)
        total, free = seen.f_blocks * seen.f_frsize, seen.f_bavail * seen.f_frsize
        return DiskUse(data, total, free, seen.f_favail, parts, self._kernel.clock.now())


def parts_of(paths: Paths, config: Config) -> tuple[Part, ...]:
    """Everything in the data folder, each file in one part, and what is shared beside it; not measured yet."""
    build = config.build
    known = (
        Part("git", (paths.git,), None, build.repository_bytes, "app"),
        Part("releases", (paths.releases,), None, build.release_bytes, "release"),
        Part("cache", (paths.cache,), None, build.cache_bytes, "all"),
        Part("units", (paths.units,)),
        Part("deployments", (paths.deployments,)),
        Part("edge", (paths.edge,)),
        Part("logs", _files(paths.data, "logs.db"), None, config.logs.per_app_bytes, "app"),
        Part("state", _files(paths.data, "havre.db")),
        Part("stacks", (paths.stacks,), None, config.stacks.limit_bytes, "all"),
        Part("toolchains", (paths.toolchains,)),
    )
    named = {place for each in known for place in each.places}
    others = tuple(each for each in sorted(paths.data.iterdir()) if each not in named)
    return (*known, Part("rest", others)) if others else known


def measure(parts: tuple[Part, ...], *, limit_s: float) -> tuple[Part, ...]:
    """The parts with what they take; what was not measured in time, and all after it, stays unknown."""
    places = [place for each in parts for place in each.places if os.path.lexists(place)]
    sizes = disk.sizes_bytes(places, limit_s=limit_s) if places else {}
    is_cut = any(place not in sizes and os.path.lexists(place) for place in places)
    found = []
    for each in parts:
        is_known = not is_cut or all(place in sizes for place in each.places)
        used = sum(sizes.get(place, 0) for place in each.places) if is_known else None
        found.append(Part(each.name, each.places, used, each.limit_bytes, each.limit_of))
    return tuple(found)


def _files(folder: Path, name: str) -> tuple[Path, ...]:
    """A database with what stands beside it (`-wal`, `-shm`)."""
    return tuple(sorted(folder.glob(f"{name}*")))


class _Kept(Generic[T]):
    """An answer that costs something. Who asks while it is being made waits for that one."""

    def __init__(self, clock: Clock, kept_s: float, make: Callable[[], T]) -> None:
        self._clock, self._kept_s, self._make = clock, kept_s, make
        self._lock = anyio.Lock()
        self._last: tuple[float, T] | None = None

    async def get(self) -> T:
        async with self._lock:
            now = self._clock.monotonic()
            if self._last is None or now - self._last[0] >= self._kept_s:
                self._last = (now, await anyio.to_thread.run_sync(self._make))
            return self._last[1]
