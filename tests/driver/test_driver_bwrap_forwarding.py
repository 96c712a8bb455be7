"""Requests on their way into real units: what waits, what is shared out, what is bounded."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketStream

from havre.base.ids import UnitId
from havre.drivers.bwrap import Bubblewrap, Unit, output
from tests.driver.bwrap_rig import Rig, opened

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
ECHO = """
import os, socket, socketserver, sys, threading, time
NAME = os.environ["NAME"].encode()
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        first = self.request.recv(1)
        if first == b"n":
            self.request.sendall(NAME)
        elif first == b"h":  # answers once the far end has said all
            size = 0
            while part := self.request.recv(65536):
                size += len(part)
            self.request.sendall(b"%d" % size)
        elif first == b"b":
            for _ in range(64):
                self.request.sendall(b"x" * 65536)
        elif first == b"w":
            self.request.recv(1)
        print("served", first, flush=True)
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128
time.sleep(float(os.environ.get("LATE", "0")))
Server(("127.0.0.1", 8080), Echo).serve_forever()
"""


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with opened() as made:
        yield made


async def echo(rig: Rig, engine: Bubblewrap, name: str, *, late: float = 0) -> UnitId:
    env = {"PATH": "/usr/bin:/bin", "NAME": name, "LATE": str(late)}
    spec = rig.spec("/usr/bin/python3", "-S", "-c", ECHO, env=env, way_out=False)
    await engine.start(spec)
    return spec.id


async def call(rig: Rig, said: bytes) -> SocketStream:
    stream = await anyio.connect_unix(str(rig.base / "run" / "app.sock"))
    await stream.send(said)
    return stream


async def all_of(stream: SocketStream) -> bytes:
    said = b""
    async with stream:
        while True:
            try:
                said += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return said


async def seen(engine: Bubblewrap, id: UnitId) -> Unit:
    unit = await engine.get(id)
    assert unit is not None
    return unit


async def until_in_flight(engine: Bubblewrap, id: UnitId, count: int) -> None:
    with anyio.fail_after(30):
        while (await seen(engine, id)).in_flight != count:
            await anyio.sleep(0.02)


async def test_what_the_client_has_said_to_its_end_is_answered(rig: Rig) -> None:
    engine = rig.engine()
    id = await echo(rig, engine, "one")
    await engine.accept(id)
    with anyio.fail_after(60):
        stream = await call(rig, b"h")
        for _ in range(64):
            await stream.send(b"y" * 65536)
        await stream.send_eof()
        assert await all_of(stream) == b"%d" % (64 * 65536)


async def test_a_slow_reader_gets_every_byte_and_the_monitor_holds_few_of_them(rig: Rig) -> None:
    engine = rig.engine()
    id = await echo(rig, engine, "one")
    await engine.accept(id)
    pid = (await seen(engine, id)).pid
    with anyio.fail_after(60):
        streams = [await call(rig, b"b") for _ in range(20)]
        await until_in_flight(engine, id, 20)
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        assert resident < 40 * 1024**2, "80 MiB are on their way"
        sizes = [len(await all_of(stream)) for stream in streams]
    assert sizes == [64 * 65536] * 20
    await until_in_flight(engine, id, 0)
    assert (await seen(engine, id)).answered == 20


async def test_requests_that_come_before_the_app_listens_are_answered(rig: Rig) -> None:
    engine = rig.engine()
    id = await echo(rig, engine, "late", late=1)
    await engine.accept(id)
    with anyio.fail_after(60):
        streams = [await call(rig, b"n") for _ in range(50)]
        assert [await all_of(stream) for stream in streams] == [b"late"] * 50
    assert (await seen(engine, id)).refused == 0


async def test_a_client_that_leaves_is_not_waited_for(rig: Rig) -> None:
    engine = rig.engine()
    id = await echo(rig, engine, "one")
    await engine.accept(id)
    with anyio.fail_after(60):
        stream = await call(rig, b"w")
        await until_in_flight(engine, id, 1)
        await stream.aclose()
        await until_in_flight(engine, id, 0)


async def test_what_waits_is_counted_and_wakes_whoever_waits_for_it(rig: Rig) -> None:
    engine, path = rig.engine(), rig.base / "run" / "app.sock"
    await engine.hold(path)
    assert engine.waiting(path) == 0
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(engine.wait_called, path)
            await anyio.lowlevel.checkpoint()
            streams = [await call(rig, b"n") for _ in range(3)]
        assert engine.waiting(path) == 3
        id = await echo(rig, engine, "woken")
        await engine.accept(id)
        assert [await all_of(stream) for stream in streams] == [b"woken"] * 3
    assert engine.waiting(path) == 0


async def test_instances_that_share_a_socket_share_the_load(rig: Rig) -> None:
    engine = rig.engine()
    ids = [await echo(rig, engine, name) for name in ("one", "two", "three")]
    for id in ids:
        await engine.accept(id, peers=2)
    rounds: list[list[int]] = []
    for _ in range(5):  # an instance that has no time for a moment has little of the load in one of them
        with anyio.fail_after(60):
            held = []
            for number in range(30):
                held.append(await call(rig, b"w"))
                while sum([(await seen(engine, id)).in_flight for id in ids]) <= number:
                    await anyio.sleep(0.002)
            rounds.append(sorted([(await seen(engine, id)).in_flight for id in ids]))
            for stream in held:
                await stream.aclose()
            for id in ids:
                await until_in_flight(engine, id, 0)
    assert median(loads[0] for loads in rounds) >= 6, f"30 requests fell on {rounds}"


async def test_an_app_that_never_takes_its_connections_stalls_itself_alone(rig: Rig) -> None:
    """Its backlog is full: the kernel answers no handshake. The monitor goes on obeying and forwarding."""
    script = "import socket, time; s = socket.create_server(('127.0.0.1', 8080), backlog=1); time.sleep(600)"
    engine = rig.engine()
    spec = rig.spec("/usr/bin/python3", "-S", "-c", script, way_out=False)
    await engine.start(spec)
    await engine.accept(spec.id)
    with anyio.fail_after(60):
        streams = [await call(rig, b"n") for _ in range(20)]
        await until_in_flight(engine, spec.id, 20)
        await engine.quiesce(spec.id)
        for stream in streams:
            await stream.aclose()
        assert (await engine.stop(spec.id, grace_s=0)).signal == 9


class Descriptors:
    """The monitor's loop, for one descriptor."""

    def __init__(self) -> None:
        self.watched: set[int] = set()

    def watch(self, fd: int, _events: int, _call: object) -> None:
        self.watched.add(fd)

    def drop(self, fd: int) -> None:
        self.watched.discard(fd)


def test_output_is_slowed_down_to_its_pace_and_bounded_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "time", SimpleNamespace(monotonic=lambda: 1000.0))  # all of it in one moment
    reading, writing = os.pipe2(os.O_NONBLOCK)
    loop, told = Descriptors(), []
    bounds = output.Bounds(bytes_per_s=1024**2, burst_bytes=8 * 1024**2, limit_bytes=4 * 1024**2, kept_bytes=1024**2)
    out = output.Output(
        loop, lambda: told.append((out.lost, out.slowed)), reading=reading, path=tmp_path / "log", bounds=bounds
    )
    moved = 0
    while reading in loop.watched:
        moved += os.write(writing, b"y" * 65535 + b"\n")
        out.take(0)
    assert 8 * 1024**2 - 65536 <= moved - 65536 <= 8 * 1024**2, "the last piece waits in the pipe"
    assert told[-1] == (0, 1) and out.next_at() is not None
    seen = os.stat(tmp_path / "log")
    assert seen.st_size > 7 * 1024**2 and seen.st_blocks * 512 <= 5 * 1024**2
    assert (tmp_path / "log").read_bytes().endswith(b"[havre] output is slowed down to 1 MiB a second\n")
    os.close(writing)


async def test_output_keeps_its_order_to_the_last_line(rig: Rig) -> None:
    ended, said = await rig.bash("for n in $(seq 20000); do echo line $n; done; echo last >&2", way_out=False)
    lines = said.splitlines()
    assert ended.code == 0 and lines[-1] == "last" and lines[:-1] == [f"line {n + 1}" for n in range(20000)]
