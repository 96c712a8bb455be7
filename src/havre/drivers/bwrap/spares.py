"""What every start needs and no unit is told apart by, made ahead of the next one.

A spare is a monitor's process that has been started and waits for its orders, and a network that has its way out.
Whoever starts a unit takes them and has the next made beside. They belong to their engine's process: when that is gone,
the monitor's channel ends and so does it, and the kernel takes back a network that nobody holds.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from havre.base.errors import UnavailableError

PROGRAM = Path(__file__).with_name("unit.py")
LENGTH = struct.Struct("!Q")


class Network:
    """A network namespace with a way out; closed when nobody refers to it any more."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def __del__(self) -> None:
        os.close(self._fd)


class Waiting:
    """A monitor's process that has no unit yet. folder: of all units, so that a person sees whose process it is."""

    def __init__(self, folder: Path) -> None:
        self.channel, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(PROGRAM), str(folder)],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={},
                cwd="/",
            )

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def order(self, orders: bytes, descriptors: Mapping[str, int], *, limit_s: float) -> bytes:
        """Make it the monitor that the orders tell of; returns what it says of that.

        descriptors: by the name that the orders know each under. Raises UnavailableError when it says nothing in time.
        """
        names = ",".join(descriptors).encode()
        try:
            self.channel.settimeout(limit_s)
            head = LENGTH.pack(len(names)) + LENGTH.pack(len(orders))
            socket.send_fds(self.channel, [head], list(descriptors.values()))
            self.channel.sendall(names + orders)
            said = b""
            while part := self.channel.recv(65536):
                said += part
            self.process.wait(limit_s)
        except (OSError, subprocess.TimeoutExpired) as cause:
            self.end()
            raise UnavailableError("the sandbox did not start in time") from cause
        finally:
            self.channel.close()
        return said

    def end(self) -> None:
        """Nobody will give it orders."""
        self.channel.close()
        with contextlib.suppress(OSError):
            self.process.kill()
        self.process.wait()


class Spares:
    """At most one monitor and one network in stock. Safe to use from several threads."""

    def __init__(self, folder: Path, make_network: Callable[[], int]) -> None:
        self._folder = folder
        self._make_network = make_network
        self._lock = threading.Lock()
        self._monitor: Waiting | None = None
        self._network: Network | None = None
        self._wants_network = False
        self._closed = False

    def monitor(self) -> Waiting:
        """A process that waits for orders."""
        with self._lock:
            spare, self._monitor = self._monitor, None
        if spare is not None and not spare.is_alive:
            spare.end()
            spare = None
        return spare or Waiting(self._folder)

    def network(self) -> Network:
        """A network of its own. Raises UnavailableError when none can be made."""
        with self._lock:
            spare, self._network = self._network, None
            self._wants_network = True
        return spare or Network(self._make_network())

    def refill(self) -> None:
        """Make what is missing. What cannot be made now is made by the next start, which then says why not."""
        with self._lock:
            if self._closed:
                return
            if self._monitor is None:
                self._monitor = Waiting(self._folder)
            if self._network is None and self._wants_network:
                with contextlib.suppress(UnavailableError):
                    self._network = Network(self._make_network())

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._monitor is not None:
                self._monitor.end()
            self._monitor = self._network = None
