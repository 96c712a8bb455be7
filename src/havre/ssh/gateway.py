"""Listens for SSH; whoever comes is answered by `sessions`, which is loaded with the first of them."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import structlog

from havre.base.errors import UnavailableError
from havre.kernel.kernel import Kernel

if TYPE_CHECKING:
    from havre.ssh.sessions import Sessions

log = structlog.get_logger()
BACKLOG = 128


class Gateway:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._sessions: Sessions | None = None
        self.error = ""

    @property
    def sessions(self) -> int:
        return self._sessions.open if self._sessions else 0

    async def run(self) -> None:
        """Until cancelled. A port that is taken is an error of the room, tried again by its loop."""
        config = self._kernel.config
        bind, port = config.ssh.bind or config.edge.bind, config.ssh.port
        with contextlib.ExitStack() as open_ones:
            try:
                listening = [
                    open_ones.enter_context(each) for each in await anyio.to_thread.run_sync(_listen, bind, port)
                ]
            except OSError as cause:
                self.error = f"the SSH gateway cannot listen on {bind}:{port}: {cause.strerror}"
                raise UnavailableError(self.error) from cause
            self.error = ""
            log.info("ssh.gateway.started", port=port)
            await _somebody_at(listening)
            sessions = self._sessions = await anyio.to_thread.run_sync(self._load)
            await sessions.serve(listening)

    def _load(self) -> Sessions:
        from havre.ssh.sessions import Sessions

        return self._sessions or Sessions(self._kernel)


def _listen(bind: str, port: int) -> list[socket.socket]:
    """A socket for each address that `bind` names, separated by commas; empty: every address of the machine."""
    found: list[socket.socket] = []
    kind = socket.SOCK_STREAM
    try:
        for host in bind.split(","):
            for family, *_, address in socket.getaddrinfo(
                host.strip() or None, port, type=kind, flags=socket.AI_PASSIVE
            ):
                found.append(socket.create_server(address, family=family, backlog=BACKLOG))
                found[-1].setblocking(False)
    except OSError:
        for each in found:
            each.close()
        raise
    return found


async def _somebody_at(listening: list[socket.socket]) -> None:
    """Returns when a visitor waits at one of the sockets, who is not taken from it."""
    async with anyio.create_task_group() as group:

        async def watch(door: socket.socket) -> None:
            await anyio.wait_readable(door)
            group.cancel_scope.cancel()

        for each in listening:
            group.start_soon(watch, each)
