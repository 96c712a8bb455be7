"""The doors of units: a socket that leads to one of them alone, and connections that are handed over."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from havre.base.ids import UnitId
from havre.drivers.bwrap import Bubblewrap
from havre.edge import act
from tests.driver.bwrap_rig import Rig, opened
from tests.driver.caddy_rig import until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
ECHO = """
import os, socketserver, threading
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            port = self.server.server_address[1]
            self.request.sendall(f"{os.environ['NAME']} {port} ".encode() + data)
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
threading.Thread(target=Server(("127.0.0.1", 4040), Echo).serve_forever).start()
Server(("127.0.0.1", 8080), Echo).serve_forever()
"""


@pytest.fixture
async def units() -> AsyncIterator[Rig]:
    async with opened() as made:
        (made.base / "run" / "apps").mkdir()
        yield made


async def start(units: Rig, engine: Bubblewrap, name: str, number: int) -> UnitId:
    run = units.base / "run"
    spec = units.spec(
        "/usr/bin/python3", "-S", "-c", ECHO, env={"PATH": "/usr/bin:/bin", "NAME": name}, way_out=False,
        handed=run / "apps" / "app_1.tcp", door=run / "i" / "app_1" / f"1-{number}.sock",
    )  # fmt: skip
    await engine.start(spec)
    return spec.id


def door(units: Rig, number: int) -> Path:
    return units.base / "run" / "i" / "app_1" / f"1-{number}.sock"


async def say(path: Path, text: bytes) -> bytes:
    async with await anyio.connect_unix(str(path)) as stream:
        await stream.send(text)
        with anyio.fail_after(20):
            return await stream.receive()


def hand_over(units: Rig) -> socket.socket:
    """What the gate does with a visitor's connection; returns the visitor's end."""
    with socket.create_server(("127.0.0.1", 0)) as public:
        visitor = socket.create_connection(public.getsockname(), timeout=20)
        taken, _ = public.accept()
    with taken:
        until(lambda: _is_sent(taken, units.base / "run" / "apps" / "app_1.tcp"), what="somebody is there")
    return visitor


def _is_sent(taken: socket.socket, place: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as way:
        try:
            way.connect(str(place))
            socket.send_fds(way, [b"\1"], [taken.fileno()])
        except OSError:
            return False
    return True


async def answer(visitor: socket.socket, text: bytes) -> bytes:
    def ask() -> bytes:
        visitor.sendall(text)
        return visitor.recv(4096)

    return await anyio.to_thread.run_sync(ask)


async def test_a_door_leads_to_one_unit_while_it_accepts_and_takes_who_is_on_the_way(units: Rig) -> None:
    engine = units.engine()
    ids = [await start(units, engine, name, number) for number, name in enumerate("ab")]
    assert not door(units, 0).exists(), "nobody comes before it accepts"
    for id in ids:
        await engine.accept(id)
    assert await say(door(units, 0), b"x") == b"a 8080 x"
    assert await say(door(units, 1), b"x") == b"b 8080 x"
    assert act.listening_sockets(units.base / "run")[1] == {"app_1": ("1-0.sock", "1-1.sock")}
    bound = door(units, 0).resolve()
    await engine.quiesce(ids[0])
    assert not door(units, 0).is_symlink()
    assert act.listening_sockets(units.base / "run")[1] == {"app_1": ("1-1.sock",)}
    assert await say(bound, b"late") == b"a 8080 late", "who had looked the door up before is served"
    await engine.stop(ids[0], grace_s=0)
    with anyio.fail_after(20):
        while bound.exists():
            await anyio.sleep(0.02)


async def test_the_successor_of_a_killed_unit_has_its_door(units: Rig) -> None:
    engine = units.engine()
    first = await start(units, engine, "a", 0)
    await engine.accept(first)
    unit = await engine.get(first)
    assert unit is not None and unit.pid is not None
    os.kill(unit.pid, 9)
    with anyio.fail_after(20):
        while act.listening_sockets(units.base / "run")[1]:
            await anyio.sleep(0.02)
    second = await start(units, engine, "b", 0)
    await engine.accept(second)
    assert await say(door(units, 0), b"x") == b"b 8080 x"


async def never_listens(units: Rig, engine: Bubblewrap) -> UnitId:
    spec = units.spec("/bin/sleep", "1000", way_out=False, handed=units.base / "run" / "apps" / "app_1.tcp")
    await engine.start(spec)
    return spec.id


async def until_open(engine: Bubblewrap, id: UnitId, count: int) -> None:
    with anyio.fail_after(20):
        while await engine.connections(id) != count:
            await anyio.sleep(0.02)


async def test_who_came_to_a_unit_that_ends_before_it_was_heard_is_served_by_the_next(units: Rig) -> None:
    engine = units.engine()
    ending = await never_listens(units, engine)
    await engine.accept(ending)
    async with await anyio.connect_unix(str(units.base / "run" / "app.sock")) as visitor:
        await visitor.send(b"x")
        redirected = await anyio.to_thread.run_sync(hand_over, units)
        redirected.sendall(b"y")
        await until_open(engine, ending, 2)
        await engine.stop(ending, grace_s=0)  # nobody has told it to take nobody: so ends an app that crashes
        second = await start(units, engine, "b", 0)
        await engine.accept(second)
        with anyio.fail_after(20):
            assert await visitor.receive() == b"b 8080 x"
        assert await anyio.to_thread.run_sync(redirected.recv, 4096) == b"b 4040 y"
        redirected.close()
    await until_open(engine, second, 0)


async def test_who_waits_for_a_unit_that_was_told_to_take_nobody_is_told_at_its_end(units: Rig) -> None:
    engine = units.engine()
    ending = await never_listens(units, engine)
    await engine.accept(ending)
    async with await anyio.connect_unix(str(units.base / "run" / "app.sock")) as visitor:
        await until_open(engine, ending, 1)
        await engine.quiesce(ending)
        await engine.stop(ending, grace_s=0)
        with anyio.fail_after(20), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await visitor.receive()


async def test_a_connection_that_is_handed_over_reaches_port_4040_and_is_drained_like_a_request(units: Rig) -> None:
    engine = units.engine()
    first, second = [await start(units, engine, name, number) for number, name in enumerate("ab")]
    await engine.accept(first)
    visitor = await anyio.to_thread.run_sync(hand_over, units)
    assert await answer(visitor, b"1") == b"a 4040 1"
    assert await engine.connections(first) == 1
    await engine.accept(second)
    await engine.quiesce(first)
    other = await anyio.to_thread.run_sync(hand_over, units)
    assert await answer(other, b"2") == b"b 4040 2", "new ones go to who accepts"
    assert await answer(visitor, b"3") == b"a 4040 3", "open ones stay"
    visitor.close()
    with anyio.fail_after(20):
        while await engine.connections(first):
            await anyio.sleep(0.02)
    other.close()


async def test_who_is_handed_over_while_nobody_accepts_waits_and_the_socket_outlives_the_engine(units: Rig) -> None:
    engine = units.engine()
    first = await start(units, engine, "a", 0)
    visitor = await anyio.to_thread.run_sync(hand_over, units)
    visitor.sendall(b"early")
    again = units.engine()  # a control plane that was restarted
    second = await start(units, again, "b", 1)
    await again.accept(second)
    assert await anyio.to_thread.run_sync(visitor.recv, 100) == b"b 4040 early"
    visitor.close()
    await again.accept(first)
