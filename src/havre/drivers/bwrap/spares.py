"""What every start needs and no unit is told apart by, made ahead of the next one.

A spare is a monitor's process that has been started and waits for its orders, and a network that has its way out.
Whoever starts a unit takes them and has the next made a little later, when what was started is up: that makes the
processor's work of a start, and a start is waited for. They belong to their engine's process: when that is gone,
the monitor's channel ends and so does it, and the kernel takes back a network that nobody holds.
"""

from __future__ import annotations

import contextlib
import os
import select
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
READY_S = 20.0
REFILL_S = 0.3


class Network:
    """A network namespace with a way out; closed when nobody refers to it any more."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def __del__(self) -> None:
        os.close(self._fd)


class Waiting:
    """A monitor's process that has no unit yet. folder: of all units, so that a person sees whose process it is.

    It is nobody's child: what has been started by us made it and ended. Raises UnavailableError when it does not come.
    """

    def __init__(self, folder: Path) -> None:
        self.channel, theirs = socket.socketpair()
        try:
            with theirs:
                maker = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(PROGRAM), str(folder)],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                    env={},
                    cwd="/",
                )
            self.pid = self._said_pid(maker)
        except (OSError, ValueError) as cause:
            self.end()
            raise UnavailableError("the sandbox could not be started") from cause

    def _said_pid(self, maker: subprocess.Popen[bytes]) -> int:
        try:
            self.channel.settimeout(READY_S)
            return int(self.channel.recv(32))
        except OSError:
            maker.kill()
            raise
        finally:
            maker.wait()

    @property
    def is_alive(self) -> bool:
        """It has the other end, and says nothing more before it has orders."""
        if self.channel.fileno() < 0:
            return False
        seen = select.poll()
        seen.register(self.channel, select.POLLIN)
        return not seen.poll(0)

    def order(self, orders: bytes, descriptors: Mapping[str, int], *, limit_s: float) -> None:
        """Make it the monitor that the orders tell of; `answer` is what it says of that.

        descriptors: by the name that the orders know each under. Raises UnavailableError when it does not listen.
        """
        names = ",".join(descriptors).encode()
        try:
            self.channel.settimeout(limit_s)
            head = LENGTH.pack(len(names)) + LENGTH.pack(len(orders))
            socket.send_fds(self.channel, [head], list(descriptors.values()))
            self.channel.sendall(names + orders)
        except OSError as cause:
            self.end()
            raise UnavailableError("the sandbox could not be started") from cause

    def answer(self) -> bytes:
        """What it says once it watches its unit, or why it does not. Raises UnavailableError when it says nothing."""
        said = b""
        try:
            while part := self.channel.recv(65536):
                said += part
        except OSError as cause:
            raise UnavailableError("the sandbox did not start in time") from cause
        finally:
            self.end()
        return said

    def end(self) -> None:
        """Nobody gives it orders any more: without any it leaves."""
        self.channel.close()


class Spares:
    """At most one monitor and one network in stock. Safe to use from several threads."""

    def __init__(self, folder: Path, make_network: Callable[[], int]) -> None:
        self._folder = folder
        self._make_network = make_network
        self._lock = threading.Lock()
        self._refilling: threading.Timer | None = None
        self._monitor: Waiting | None = None
        self._network: Network | None = None
        self._wants_network = False
        self._closed = False

    def monitor(self) -> Waiting:
        """A process that waits for orders. Raises UnavailableError when none can be made."""
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

    def refill_soon(self) -> None:
        """Make what is missing when the start that took it is over, most likely."""
        with self._lock:
            if self._closed or self._refilling is not None:
                return
            self._refilling = threading.Timer(REFILL_S, self.refill)
            self._refilling.daemon = True
            self._refilling.start()

    def refill(self) -> None:
        """Make what is missing. What cannot be made now is made by the next start, which then says why not."""
        with self._lock:
            self._refilling = None
            wants_monitor = self._monitor is None and not self._closed
            wants_network = self._network is None and not self._closed and self._wants_network
        with contextlib.suppress(UnavailableError):
            if wants_monitor:
                self._put(monitor=Waiting(self._folder))
            if wants_network:
                self._put(network=Network(self._make_network()))

    def _put(self, *, monitor: Waiting | None = None, network: Network | None = None) -> None:
        with self._lock:
            if monitor is not None and (self._closed or self._monitor is not None):
                monitor.end()
            elif monitor is not None:
                self._monitor = monitor
            if network is not None and not self._closed:
                self._network = self._network or network

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._refilling is not None:
                self._refilling.cancel()
            if self._monitor is not None:
                self._monitor.end()
            self._monitor = self._network = None
