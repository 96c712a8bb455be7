"""A command inside a running unit, as its caller holds it. The work inside is done by the program `enter`."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.abc import Process

from havre.base.errors import UnavailableError
from havre.drivers import identity

TERMINAL_S = 10.0
PROGRAM = Path(__file__).with_name("enter.py")


@dataclass(frozen=True, slots=True)
class Terminal:
    """The terminal that a person sits at."""

    term: str = "xterm"
    rows: int = 24
    columns: int = 80


class Shell:
    """A login shell inside a unit. With a terminal, `master` is its near end; else stdin, stdout, stderr are pipes."""

    def __init__(self, process: Process, master: int | None) -> None:
        self.process = process
        self.master = master

    def resize(self, rows: int, columns: int) -> None:
        if self.master is not None:
            fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows & 0xFFFF, columns & 0xFFFF, 0, 0))

    async def wait(self) -> int:
        """The exit code, as a shell would tell it."""
        return await self.process.wait()

    async def close(self) -> None:
        """It is gone when this returns. Idempotent."""
        if self.master is not None:
            os.close(self.master)
            self.master = None
        with anyio.CancelScope(shield=True):
            if self.process.returncode is None:
                self.process.kill()  # the command inside dies with it
            with anyio.move_on_after(5):
                await self.process.aclose()


async def open_shell(folder: Path, *, seccomp: bytes, terminal: Terminal | None) -> Shell:
    """Start a shell in the unit whose record is in `folder`. Raises UnavailableError when it does not run."""
    try:
        handle = json.loads((folder / "handle.json").read_text())
        known = identity.Identity(handle["pid"], handle["start_time"], handle["boot_id"])
    except (OSError, ValueError, KeyError) as cause:
        raise UnavailableError("the instance is not running", unit=folder.name) from cause
    if not identity.is_alive(known):
        raise UnavailableError("the instance is not running", unit=folder.name)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    reading, writing = os.pipe()
    try:
        size = terminal or Terminal()
        orders = {
            "monitor": known.pid,
            "start_time": known.start_time,
            "seccomp": seccomp.hex(),
            "terminal": terminal is not None,
            "term": size.term,
            "rows": size.rows & 0xFFFF,
            "columns": size.columns & 0xFFFF,
            "control": theirs.fileno(),
        }
        argv = [sys.executable, "-I", "-S", str(PROGRAM), str(reading)]
        piped = subprocess.DEVNULL if terminal is not None else subprocess.PIPE
        process = await anyio.open_process(
            argv,
            stdin=piped,
            stdout=piped,
            stderr=subprocess.PIPE,
            env={},
            cwd="/",
            pass_fds=(reading, theirs.fileno()),
            start_new_session=True,
        )
        os.write(writing, json.dumps(orders).encode())
    finally:
        theirs.close()
        os.close(reading)
        os.close(writing)
    if terminal is None:
        ours.close()
        return Shell(process, None)
    try:
        return Shell(process, await _terminal_of(ours, process))
    finally:
        ours.close()


async def _terminal_of(ours: socket.socket, process: Process) -> int:
    """The near end of the terminal that was made inside."""
    ours.setblocking(False)
    with anyio.move_on_after(TERMINAL_S):
        await anyio.wait_readable(ours)
        _, fds, _, _ = socket.recv_fds(ours, 64, 1)
        if fds:
            os.set_blocking(fds[0], False)
            return fds[0]
    said = b""
    with anyio.move_on_after(1):
        said = await process.stderr.receive(500) if process.stderr is not None else b""
    await Shell(process, None).close()
    raise UnavailableError("no shell could be opened in the instance", said=said.decode(errors="replace"))
