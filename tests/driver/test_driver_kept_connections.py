"""Connections that the edge keeps to apps: the real Caddy, the real forwarder, and apps that close as they like."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest

from havre.base.ids import UnitId
from havre.drivers.bwrap import Bubblewrap, Unit
from havre.drivers.caddy import Mark
from tests.driver.bwrap_rig import Rig
from tests.driver.caddy_rig import CaddyRig, Upstream, running_rig, says, undisturbed, until

pytestmark = pytest.mark.timeout(120)
HOST = "shop.havre.test"
TRIALS = count()
APP = """
import socket, threading
def serve(talk):
    with talk:
        while True:
            said = b""
            while b"\\r\\n\\r\\n" not in said:
                part = talk.recv(65536)
                if not part:
                    return
                said += part
            line = said.split(b"\\r\\n")[0].decode()
            print("got", line, flush=True)
            if "/dies" in line and STAYED.get(talk):
                return
            if "/half" in line:  # what it says and that it says no more leave together
                talk.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            body = b"" if line.startswith("HEAD") else b"ok"
            talk.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n" + body)
            STAYED[talk] = True
            if "/closes" in line:
                return
            if "/half" in line:
                talk.shutdown(socket.SHUT_WR)
                while part := talk.recv(65536):
                    print("got too late", part.split(b"\\r\\n")[0].decode(), flush=True)
                return
STAYED = {}
door = socket.create_server(("127.0.0.1", 8080), backlog=256)
while True:
    threading.Thread(target=serve, args=(door.accept()[0],), daemon=True).start()
"""


@pytest.fixture(scope="module")
def shared() -> Iterator[CaddyRig]:
    with running_rig() as rig:
        yield rig


@pytest.fixture
def rig(shared: CaddyRig) -> Iterator[CaddyRig]:
    """The module's Caddy, without routes."""
    yield shared
    for tree in ("k", "l", "routes", "flags"):
        for each in (shared.run / tree).rglob("*"):
            if not each.is_dir() or each.is_symlink():
                each.unlink()


@pytest.fixture
def first() -> str:
    """The name under which the edge is led to its first instance: what it keeps under that of another trial is not ours."""
    return f"first{next(TRIALS)}"


def serve(rig: CaddyRig, name: str, token: str, *, mark: Mark = Mark.PLAIN, fqdn: str = HOST) -> Upstream:
    upstream = rig.upstream(name, says(name))
    rig.route(fqdn, name)
    rig.keep(fqdn, name, mark + token)
    return upstream


def connections_for_three(
    rig: CaddyRig, upstream: Upstream, host: str, path: str = "/", *, secure: bool = False
) -> int:
    """How many connections to an upstream are made for three requests that all reach it."""
    before = upstream.connections, len(upstream.seen)
    for _ in range(3):
        assert rig.ask(host, path, secure=secure).status == 200
    assert len(upstream.seen) - before[1] == 3
    return upstream.connections - before[0]


@pytest.mark.parametrize("secure", [False, True])
def test_a_get_uses_a_kept_connection_and_whatever_has_a_body_or_an_effect_its_own(
    rig: CaddyRig, first: str, secure: bool
) -> None:
    upstream = serve(rig, "a", first)

    def kept() -> int:
        before = upstream.connections
        for method in ("GET", "GET", "HEAD", "GET"):
            assert rig.ask(HOST, method=method, secure=secure).status == 200
        return upstream.connections - before

    def own() -> int:
        assert rig.ask(HOST, secure=secure).text == "a"
        before = upstream.connections
        for method, body in (("POST", b"x"), ("POST", None), ("PUT", b"y"), ("GET", b"z")):
            assert rig.ask(HOST, method=method, body=body, secure=secure).text == "a"
        assert rig.ask(HOST, secure=secure).text == "a"
        return upstream.connections - before

    assert undisturbed(kept) <= 1
    assert undisturbed(own) == 4


def test_names_with_prefixes_wildcards_and_forced_https_keep_connections_too(rig: CaddyRig, first: str) -> None:
    for fqdn, asked in ((f"{HOST}/api", (HOST, "/api/x")), ("*.wild.havre.test", ("one.wild.havre.test", "/"))):
        upstream = serve(rig, f"a{len(fqdn)}", first, mark=Mark.OTHER, fqdn=fqdn)
        assert undisturbed(partial(connections_for_three, rig, upstream, *asked)) <= 1
    upstream = serve(rig, "forced", first, mark=Mark.FORCED)
    rig.force_https(HOST)
    assert rig.ask(HOST).status == 301
    assert undisturbed(partial(connections_for_three, rig, upstream, HOST, secure=True)) <= 1


def test_an_app_that_is_down_or_a_name_that_is_dropped_is_not_asked(rig: CaddyRig, first: str) -> None:
    serve(rig, "a", first)
    assert rig.ask(HOST).text == "a"
    (rig.run / "l" / f"{HOST}.sock" / f"={first}").unlink()
    (rig.run / "flags" / "down" / f"{HOST}.sock").touch()
    assert rig.ask(HOST).status == 503
    rig.unroute(HOST)
    assert rig.ask(HOST).status == 404


def test_a_host_that_is_a_pattern_or_a_path_matches_nobody(rig: CaddyRig, first: str) -> None:
    upstream = serve(rig, "a", first)
    for host in ("*", "s*", "shop.havre.test.sock/..", "../l/shop.havre.test", "[s]hop.havre.test", "?hop.havre.test"):
        said = rig.raw(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert said.split(b" ")[1] in (b"400", b"404", b"308"), (host, said)
    assert upstream.seen == []


def test_after_a_change_of_name_new_requests_go_to_the_new_and_open_ones_finish(rig: CaddyRig) -> None:
    finish, begun = threading.Event(), threading.Event()

    def slowly(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "8")
        handler.end_headers()
        handler.wfile.write(b"old ")
        begun.set()
        finish.wait(30)
        handler.wfile.write(b"done")

    old = rig.upstream("old", lambda handler: slowly(handler) if handler.path == "/slow" else says("old")(handler))
    rig.route(HOST, "old")
    rig.keep(HOST, "old", "=before")
    answers: list[str] = []
    slow = threading.Thread(target=lambda: answers.append(rig.ask(HOST, "/slow").text))
    slow.start()
    assert begun.wait(30)
    assert rig.ask(HOST).text == "old"  # on a second connection, which is kept
    rig.upstream("new", says("new"))
    rig.route(HOST, "new")
    rig.keep(HOST, "new", "=after")
    assert [rig.ask(HOST).text for _ in range(5)] == ["new"] * 5
    finish.set()
    slow.join()
    assert answers == ["old done"]
    until(lambda: old.open == 0, what="the edge closes the connections that it does not use any more")


def test_a_name_that_moves_is_never_answered_by_the_app_that_had_it(rig: CaddyRig) -> None:
    for name in ("one", "two"):
        rig.upstream(name, says(name))
    for number in range(40):
        name = ("one", "two")[number % 2]
        rig.route(HOST, name)
        rig.keep(HOST, name, f"=token{number}")
        assert [rig.ask(HOST, method=method).text for method in ("GET", "POST", "GET")] == [name] * 3


def test_where_the_kept_name_leads_nowhere_the_apps_own_socket_is_asked(rig: CaddyRig, first: str) -> None:
    serve(rig, "a", first)
    rig.keep(HOST, "nobody", "=gone")
    assert rig.ask(HOST).text == "a"
    rig.keep(HOST, "nobody", "@gone")  # the long way
    assert rig.ask(HOST).text == "a"


# with the forwarder and apps that close


@dataclass
class Units:
    """Instances of APP behind the host, as in an installation."""

    rig: Rig
    engine: Bubblewrap
    socket: Path
    logs: dict[UnitId, Path] = field(default_factory=dict)

    def start(self) -> UnitId:
        spec = self.rig.spec("/usr/bin/python3", "-S", "-c", APP, way_out=False, listen=self.socket)
        anyio.run(self.engine.start, spec)
        self.logs[spec.id] = spec.log
        return spec.id

    def accept(self, id: UnitId, peers: int = 0) -> None:
        anyio.run(lambda: self.engine.accept(id, peers=peers))

    def seen(self, id: UnitId) -> Unit:
        found = anyio.run(self.engine.get, id)
        assert found is not None
        return found

    def end(self) -> None:
        for id in self.logs:
            anyio.run(lambda id=id: self.engine.stop(id, grace_s=0))  # type: ignore[misc]
            anyio.run(self.engine.forget, id)
        self.engine.stop_helpers()


@pytest.fixture
def units(rig: CaddyRig, first: str) -> Iterator[Units]:
    base = Path(tempfile.mkdtemp(prefix="hvk ", dir="/tmp"))
    made = Rig(base)
    for each in ("units", "run"):
        (base / each).mkdir()
    found = Units(made, made.engine(), rig.run / "apps" / "unit.sock")
    rig.route(HOST, "unit")
    rig.keep(HOST, "unit", f"={first}")
    try:
        yield found
    finally:
        found.end()
        shutil.rmtree(base)


@pytest.fixture
def unit(units: Units) -> tuple[Bubblewrap, UnitId, Path]:
    id = units.start()
    units.accept(id)
    return units.engine, id, units.logs[id]


def requests_of(*logs: Path, count: int) -> Counter[str]:
    """What was asked of apps, once their logs have so many requests: an answer may come before its line is written."""

    def found() -> list[list[str]]:
        said = [line for log in logs for line in log.read_text().splitlines()]
        return [line.split(" ") for line in said if line.startswith("got ")]

    until(lambda: len(found()) >= count, what="each request is told")
    assert all(line[1] != "too" for line in found()), "a request was handed to an app that had left"
    return Counter(line[2] for line in found())


@pytest.mark.parametrize("way", ["stays", "closes", "half"])
def test_however_an_app_closes_every_request_is_answered_and_taken_once(
    rig: CaddyRig, unit: tuple[Bubblewrap, UnitId, Path], way: str
) -> None:
    _, _, log = unit
    asked: dict[str, int] = {}

    def visit(visitor: int) -> None:
        for number in range(40):
            path = f"/{way}/{visitor}/{number}"
            asked[path] = rig.ask(HOST, path, method=("GET", "GET", "POST", "HEAD")[number % 4]).status

    visitors = [threading.Thread(target=visit, args=(number,)) for number in range(6)]
    for each in visitors:
        each.start()
    for each in visitors:
        each.join()
    assert Counter(asked.values()) == {200: 240}
    assert requests_of(log, count=len(asked)) == dict.fromkeys(asked, 1)


def test_a_request_that_ends_its_connection_is_not_sent_again(
    rig: CaddyRig, unit: tuple[Bubblewrap, UnitId, Path]
) -> None:
    _, _, log = unit
    asked: list[str] = []

    def ends_its_connection() -> int:
        number = len(asked)
        asked.extend((f"/stays/{number}", f"/dies/{number}"))
        assert rig.ask(HOST, f"/stays/{number}").status == 200
        return rig.ask(HOST, f"/dies/{number}").status  # answered, when it is the first on its connection

    assert [undisturbed(ends_its_connection) for _ in range(5)] == [502] * 5
    assert requests_of(log, count=len(asked)) == dict.fromkeys(asked, 1)


def test_a_drain_ends_soon_after_the_last_answer(
    rig: CaddyRig, first: str, unit: tuple[Bubblewrap, UnitId, Path]
) -> None:
    engine, id, _ = unit
    assert rig.ask(HOST, "/stays").status == 200
    anyio.run(engine.quiesce, id)
    (rig.run / "l" / f"{HOST}.sock" / f"={first}").unlink()
    until(lambda: anyio.run(engine.connections, id) == 0, what="the edge closes the connection that it kept")


def test_an_open_connection_is_no_request(unit: tuple[Bubblewrap, UnitId, Path], rig: CaddyRig) -> None:
    engine, id, _ = unit
    request = b"GET /stays HTTP/1.1\r\nHost: x\r\n\r\n"
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as kept:
        kept.settimeout(20)
        kept.connect(str(rig.run / "apps" / "unit.sock"))
        for number in range(1, 4):
            kept.sendall(request)
            while not kept.recv(65536).endswith(b"ok"):
                pass
            seen = until(lambda: found if (found := anyio.run(engine.get, id)).in_flight == 0 else None, what="idle")
            assert (seen.accepted, seen.answered, seen.connections, seen.in_flight) == (number, number, 1, 0)
        kept.sendall(request[:10])
        until(lambda: anyio.run(engine.get, id).in_flight == 1, what="a request that has begun is counted")
        assert anyio.run(engine.connections, id) == 1
    until(lambda: anyio.run(engine.connections, id) == 0, what="it is counted no more")


def test_a_visitor_who_comes_again_and_again_meets_every_instance(rig: CaddyRig, units: Units) -> None:
    ids = [units.start() for _ in range(3)]
    for id in ids:
        units.accept(id, peers=2)
    asked = 0

    def all_have_answered() -> bool:
        nonlocal asked
        for _ in range(20):
            assert rig.ask(HOST, f"/stays/{asked}").status == 200
            asked += 1
        return all(units.seen(id).answered for id in ids)

    until(all_have_answered, what="each instance answers", limit_s=60)
    took = requests_of(*units.logs.values(), count=asked)
    assert took == {f"/stays/{number}": 1 for number in range(asked)}


def test_an_instance_that_stops_accepting_takes_no_request_more_and_none_is_lost(rig: CaddyRig, units: Units) -> None:
    old, new = units.start(), units.start()
    units.accept(old)
    stop, statuses = threading.Event(), Counter[int]()

    def visit(visitor: int) -> None:
        number = 0
        while not stop.is_set():
            method = "POST" if number % 5 == 4 else "GET"
            statuses[rig.ask(HOST, f"/stays/{visitor}/{number}", method=method).status] += 1
            number += 1

    visitors = [threading.Thread(target=visit, args=(number,)) for number in range(4)]
    for each in visitors:
        each.start()
    until(lambda: statuses[200] > 40, what="the old instance is asked")
    units.accept(new)
    anyio.run(units.engine.quiesce, old)  # the edge knows nothing of it
    until(lambda: units.seen(old).connections == 0, what="it has drained under load")
    taken = units.seen(old).answered
    until(lambda: units.seen(new).answered > 40, what="the new instance is asked")
    stop.set()
    for each in visitors:
        each.join()
    assert set(statuses) == {200} and units.seen(old).answered == taken
    took = requests_of(units.logs[old], units.logs[new], count=statuses.total())
    assert took.total() == statuses[200] and set(took.values()) == {1}
