"""Processes that outlive whoever started them, and are found again by identity.

A process is known by its identity; a pid alone may have been given to somebody else (`drivers.identity`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from select import POLLIN, poll
from typing import Any

from havre.base.errors import UnavailableError
from havre.drivers.identity import Identity, find, open_pidfd

HALT_S = 1.0


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of a process that is kept: which one, from what it was made, and how often it was started."""

    identity: Identity
    digest: str
    starts: int = 0


@contextlib.contextmanager
def held(identity: Identity) -> Iterator[int | None]:
    """A pidfd of that very process for the length of the block; None when it is gone."""
    fd = open_pidfd(identity)
    try:
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


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
    found = find(child.pid)
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


def halt(identity: Identity) -> list[Identity]:
    """SIGKILL; the children that it leaves. It is stopped before they are counted, so that none is born meanwhile."""
    with held(identity) as fd:
        if fd is None:
            return []
        try:
            signal.pidfd_send_signal(fd, signal.SIGSTOP)
        except ProcessLookupError:
            return []
        deadline = time.monotonic() + HALT_S
        while _state(identity.pid) not in ("T", "Z", "") and time.monotonic() < deadline:
            time.sleep(0.001)  # who is not its parent is told of its end, and of nothing else
        children = [found for pid in _children_of(identity.pid) if (found := find(pid)) is not None]
    end(identity, grace_s=0)
    return children


def wake(identity: Identity) -> None:
    """SIGCONT: whoever halted it may have been killed in between."""
    with held(identity) as fd, contextlib.suppress(ProcessLookupError):
        if fd is not None:
            signal.pidfd_send_signal(fd, signal.SIGCONT)


def _state(pid: int) -> str:
    """proc_pid_stat(5), field 3; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


def _children_of(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def read_record(file: Path) -> Record | None:
    """None when there is none or it cannot be understood."""
    try:
        found: dict[str, Any] = json.loads(file.read_text())
        return Record(Identity(*found["identity"]), found["digest"], found.get("starts", 0))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def tail(file: Path, *, lines: int = 5, limit_bytes: int = 4000) -> str:
    """The last lines of `file`, for an error's facts; empty when it cannot be read."""
    try:
        with open(file, "rb") as source:
            source.seek(max(0, source.seek(0, os.SEEK_END) - limit_bytes))
            text = source.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
