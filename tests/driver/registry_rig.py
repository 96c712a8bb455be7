"""Laboratory servers as processes on free ports of loopback, and bad servers that answer what a test says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.abc import SocketStream


@contextmanager
def server(name: str, *args: str | Path) -> Iterator[int]:
    """Start `havre.network.lab.servers.<name>`; its port, once it can be asked."""
    argv = [sys.executable, "-m", f"havre.network.lab.servers.{name}", "--listen", "127.0.0.1:0", *map(str, args)]
    started = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert started.stdout is not None
        yield int(json.loads(started.stdout.readline())["listening"][1])
    finally:
        started.terminate()
        started.wait(timeout=30)


@dataclass
class Scripted:
    """A server that sends `says` to whoever connects, whatever they ask, and closes (or hangs)."""

    says: Sequence[bytes]
    hangs: bool = False
    heard: bytes = b""
    port: int = 0

    async def serve(self, stream: SocketStream) -> None:
        async with stream:
            try:
                for each in self.says:
                    self.heard += await stream.receive()
                    await stream.send(each)
                while self.hangs:
                    self.heard += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass


@asynccontextmanager
async def scripted(*says: bytes, hangs: bool = False) -> AsyncIterator[Scripted]:
    made = Scripted(says, hangs)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    made.port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, made.serve)
        yield made
        tasks.cancel_scope.cancel()
