"""Which of its bounds a running unit has come up against, looked at from outside: it is neither asked nor slowed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from havre.drivers.bwrap import memory
from havre.drivers.bwrap.model import Limits

MOST_PROCESSES = Limits(0, 0.0).pids
DEEPEST = 16  # monitor, sandbox, its first process, a shell, the app
LEFT_BYTES, LEFT_FILES = 64 * 1024, 4  # a file system in memory with less than that is full


@dataclass(frozen=True, slots=True)
class Strain:
    """forks_refused: so far. is_crowded: it has as many processes as it may, where refusals are not counted.
    is_full, has_all_files: what it writes has reached its bytes, or its files. is_large: its processes, and what they
    keep in memory as files, have more than it may, where no control group holds them to that."""

    forks_refused: int = 0
    is_crowded: bool = False
    is_full: bool = False
    has_all_files: bool = False
    is_large: bool = False


def look(monitor: int, forks_refused: int | None, memory_bytes: int | None = None) -> Strain:
    """Look at the unit of a monitor's pid; whatever cannot be seen is well. memory_bytes: what it may have; None: its
    control group sees to that."""
    chain = _chain(monitor)
    is_full = has_all_files = False
    if len(chain) > 2:
        try:
            seen = os.statvfs(f"/proc/{chain[-1]}/root/tmp")
            is_full = seen.f_bavail * seen.f_frsize < LEFT_BYTES
            has_all_files = seen.f_files > 0 and seen.f_favail < LEFT_FILES
        except OSError:
            pass
    is_crowded = forks_refused is None and _count(monitor) >= MOST_PROCESSES
    inside = chain[-1] if len(chain) > 2 else 0
    is_large = memory_bytes is not None and memory.is_large(_below(monitor), inside, memory_bytes)
    return Strain(forks_refused or 0, is_crowded, is_full, has_all_files, is_large)


def _children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (OSError, ValueError):
        return []


def _chain(pid: int) -> list[int]:
    """From a process down to one that is surely inside: the last child of the last child."""
    found = [pid]
    while len(found) < DEEPEST and (below := _children(found[-1])):
        found.append(below[-1])
    return found


def _below(monitor: int) -> list[int]:
    """The processes below a monitor, up to the most there may be."""
    found = _children(monitor)
    for pid in found:
        found += _children(pid) if len(found) < MOST_PROCESSES else []
    return found


def _count(monitor: int) -> int:
    """Threads below a monitor, counted up to the most there may be."""
    found, waiting = 0, _children(monitor)
    while waiting and found < MOST_PROCESSES:
        pid = waiting.pop()
        try:
            found += len(os.listdir(f"/proc/{pid}/task"))
        except OSError:
            continue
        waiting += _children(pid)
    return found
