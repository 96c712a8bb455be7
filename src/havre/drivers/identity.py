"""Which process is it: a pid together with its start time and the boot, because pids are reused.

Take a pidfd first and compare afterwards: between a comparison and a later signal by pid, the pid may have
become another process; a pidfd stays with the one it was opened for.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Identity:
    """`start_time` is field 22 of /proc/PID/stat, in clock ticks after the boot `boot_id`."""

    pid: int
    start_time: int
    boot_id: str


@functools.cache
def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def of_pid(pid: int, *, alive: bool = False) -> Identity:
    """Raises ProcessLookupError when there is no such process, or, when it is to be `alive`, only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError) as cause:
        raise ProcessLookupError(pid) from cause
    if alive and fields[0] in "ZX":
        raise ProcessLookupError(pid)
    return Identity(pid, int(fields[19]), boot_id())


def find(pid: int) -> Identity | None:
    """None when there is no such process, or only what its parent has not yet collected."""
    try:
        return of_pid(pid, alive=True)
    except ProcessLookupError:
        return None


def open_pidfd(identity: Identity) -> int | None:
    """A pidfd of exactly this process; None when it is gone (or was never of this boot)."""
    try:
        fd = os.pidfd_open(identity.pid)
    except OSError:
        return None
    if find(identity.pid) == identity:
        return fd
    os.close(fd)
    return None


def is_alive(identity: Identity) -> bool:
    fd = open_pidfd(identity)
    if fd is None:
        return False
    os.close(fd)
    return True
