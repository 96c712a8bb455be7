"""Processes that outlive whoever started them, and are found again by identity.

A process is known by (pid, start time, boot id); a pid alone may have been given to somebody else. A handle is a pidfd
opened *before* the comparison, so what is signalled later is what was compared.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from select import POLLIN, poll
from typing import Any

from havre.base.errors import UnavailableError


@dataclass(frozen=True, slots=True)
class Identity:
    """`start_time` is in clock ticks since boot (proc(5), field 22)."""

    pid: int
    start_time: int
    boot_id: str


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of a process that is kept: which one, from what it was made, and how often it was started."""

    identity: Identity
    digest: str
    starts: int = 0


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def identity_of(pid: int) -> Identity | None:
    """None when there is no such process, or only what its parent has not yet collected."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    if fields[0] in ("Z", "X"):
        return None
    return Identity(pid, int(fields[19]), boot_id())


@contextmanager
def held(identity: Identity) -> Iterator[int | None]:
    """A pidfd of that very process for the length of the block; None when it is gone."""
    try:
        fd = os.pidfd_open(identity.pid)
    except OSError:
        yield None
        return
    try:
        yield fd if identity_of(identity.pid) == identity else None
    finally:
        os.close(fd)


def is_alive(identity: Identity) -> bool:
    with held(identity) as fd:
        return fd is not None


_children: dict[int, subprocess.Popen[bytes]] = {}  # kept until they are collected: a zombie would keep its pid


def spawn(command: list[str], *, cwd: Path, output: Path) -> Identity:
    """Start `command` in a session of its own, with an empty environment and nothing of ours but `output`.

    Raises UnavailableError when it cannot be started or is gone at once.
    """
    collect()
    try:
        with open(output, "ab") as out:
            child = subprocess.Popen(
                command, env={}, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
    except OSError as cause:
        raise UnavailableError(f"{command[0]} could not be started", command=command) from cause
    _children[child.pid] = child
    found = identity_of(child.pid)
    if found is None:
        raise UnavailableError(f"{command[0]} ended as soon as it was started", output=tail(output))
    return found


def collect() -> None:
    """Take leave of those of our children that have ended."""
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            del _children[pid]


def end(identity: Identity, *, grace_s: float) -> None:
    """SIGTERM, up to `grace_s` of patience, SIGKILL. Blocks; done when the process is gone. Idempotent."""
    with held(identity) as fd:
        if fd is None:
            return
        watch = poll()
        watch.register(fd, POLLIN)
        signals = ((signal.SIGTERM, grace_s), (signal.SIGKILL, 10.0)) if grace_s > 0 else ((signal.SIGKILL, 10.0),)
        for number, patience_s in signals:
            try:
                signal.pidfd_send_signal(fd, number)
            except ProcessLookupError:
                break
            if watch.poll(patience_s * 1000):
                break
        else:
            raise UnavailableError("a process did not end when killed", pid=identity.pid)
    collect()


def read_record(file: Path) -> Record | None:
    """None when there is none or it cannot be understood."""
    try:
        found: dict[str, Any] = json.loads(file.read_text())
        return Record(Identity(*found["identity"]), found["digest"], found.get("starts", 0))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_whole(file: Path, text: str) -> None:
    """Durable and whole: a new file, for us alone, synced, renamed over the old one."""
    fresh = file.with_name(file.name + ".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)


def tail(file: Path, *, lines: int = 5, limit_bytes: int = 4000) -> str:
    """The last lines of `file`, for an error's facts; empty when it cannot be read."""
    try:
        with open(file, "rb") as source:
            source.seek(max(0, source.seek(0, os.SEEK_END) - limit_bytes))
            text = source.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
