"""The gate of TCP redirections: what it accepts goes to the app's socket as it is, and lives on without the gate."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

import anyio
import pytest

from havre.base.errors import UnavailableError
from havre.drivers.keeper import Keeper
from havre.drivers.tcpgate import NAME, Gate, Seen
from tests.driver.caddy_rig import until
from tests.ports import free_ports


class Taker:
    """What an instance's forwarder does: takes connections that are handed over, and echoes with its name."""

    def __init__(self, path: Path, name: str) -> None:
        path.unlink(missing_ok=True)
        self.name = name.encode()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(64)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        while True:
            try:
                way, _ = self.listener.accept()
                _, fds, _, _ = socket.recv_fds(way, 1, 1)
            except OSError:
                return
            way.close()
            threading.Thread(target=self.echo, args=(socket.socket(fileno=fds[0]),), daemon=True).start()

    def echo(self, connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65536):
                connection.sendall(self.name + b":" + data)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)


class Rig:
    def __init__(self, base: Path, hosts: tuple[str, ...]) -> None:
        self.base = base
        self.apps, self.ports = base / "apps", base / "tcp"
        for each in (self.apps, self.ports):
            each.mkdir()
        self.gate = Gate(self.ports, base / "gate.sock", hosts)
        self.keeper = Keeper(base)
        self.keeper.ensure((self.gate.program(output=base / "gate.out"),))
        until(lambda: (base / "gate.sock").exists(), what="the gate is there")

    def lead(self, port: int, app: str) -> Seen:
        link = self.ports / str(port)
        fresh = self.base / "new"
        fresh.symlink_to(self.apps / app)
        fresh.rename(link)
        return anyio.run(self.gate.look)

    def pid(self) -> int:
        record = self.keeper.record(NAME)
        assert record is not None
        return record.identity.pid


@contextmanager
def running(*hosts: str) -> Iterator[Rig]:
    base = Path(tempfile.mkdtemp(prefix="hvg-", dir="/tmp"))
    made = Rig(base, hosts or ("127.0.0.1",))
    try:
        yield made
    finally:
        made.keeper.stop(grace_s=1)
        rmtree(base)


def say(connection: socket.socket, text: bytes) -> bytes:
    connection.sendall(text)
    return connection.recv(4096)


def test_a_port_leads_to_its_app_until_it_is_taken_away() -> None:
    with running("127.0.0.1", "::1") as rig:
        one, two = free_ports(2)
        takers = [Taker(rig.apps / name, name) for name in ("a", "b")]
        assert rig.lead(one, "a").listening == {one}
        assert rig.lead(two, "b") == Seen(frozenset({one, two}), {})
        for host in ("127.0.0.1", "::1"):
            for port, name in ((one, b"a"), (two, b"b")):
                with socket.create_connection((host, port), timeout=10) as client:
                    assert say(client, b"x") == name + b":x"
        kept = socket.create_connection(("127.0.0.1", one), timeout=10)
        assert say(kept, b"1") == b"a:1"
        (rig.ports / str(one)).unlink()
        assert anyio.run(rig.gate.look).listening == {two}
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", one), timeout=10)
        assert say(kept, b"2") == b"a:2", "what is open stays open"
        kept.close()
        for each in takers:
            each.close()


def test_a_killed_gate_cuts_nobody_and_is_back_at_once() -> None:
    with running() as rig:
        (port,) = free_ports(1)
        taker = Taker(rig.apps / "a", "a")
        rig.lead(port, "a")
        kept = socket.create_connection(("127.0.0.1", port), timeout=10)
        assert say(kept, b"1") == b"a:1"
        first = rig.pid()
        os.kill(first, signal.SIGKILL)
        assert say(kept, b"2") == b"a:2"

        def back() -> bool:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                    return say(client, b"3") == b"a:3"
            except OSError:
                return False

        until(back, what="the gate is back by itself")
        assert rig.pid() != first
        assert say(kept, b"4") == b"a:4"
        kept.close()
        taker.close()


def test_a_connection_waits_for_an_app_that_comes_back() -> None:
    with running() as rig:
        (port,) = free_ports(1)
        rig.lead(port, "late")
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(b"early")
            taker = Taker(rig.apps / "late", "late")
            assert client.recv(100) == b"late:early"
        taker.close()


def test_a_port_that_is_taken_is_told_and_had_when_it_is_free() -> None:
    with running() as rig:
        with socket.create_server(("127.0.0.1", 0)) as stranger:
            port = stranger.getsockname()[1]
            seen = rig.lead(port, "a")
            assert seen.listening == frozenset() and "in use" in seen.failed[port]
        assert anyio.run(rig.gate.look) == Seen(frozenset({port}), {})


def test_a_gate_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="does not answer"):
        anyio.run(Gate(tmp_path, tmp_path / "no.sock", ()).look)
