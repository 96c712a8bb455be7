"""The edge's figures: a route that changes among ten thousand, and what a request costs beside a bare Caddy."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import ssl
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
from tests.driver.caddy_rig import Upstream, says
from tests.ports import free_ports
from tests.room.edge_rig import edge_kernel, running_room
from tests.system.rig import AppConnection, Installation

from havre import edge
from havre.base.ids import new_app_id, new_owner_id
from havre.edge import tables
from havre.edge.model import Name
from havre.kernel.store import Tx

HOSTS, CHANGES = 10_000, 40
ROUNDS, ROUND_S, CLIENTS = 11, 3.0, 8
REST_S = 2.0  # before each round: what the one before has left to do, such as to read its log, is its own


@dataclass(frozen=True)
class Load:
    """One round: requests a second, and the slowest hundredth of them (ms)."""

    per_s: float
    p99_ms: float


def route_change_ms() -> tuple[float, float]:
    """Median and worst of the time from a claim until the route is in effect, with ten thousand others.

    A claim, its transaction on the disk, and the change at the proxy; then a visitor is answered by the right app.
    """
    return anyio.run(_route_changes)


async def _route_changes() -> tuple[float, float]:
    owner, app = new_owner_id(), new_app_id()
    async with edge_kernel() as kernel:

        def many(tx: Tx) -> None:
            for number in range(HOSTS):
                name = Name(f"host{number}.havre.test")
                tables.insert(tx.conn, name, app_id=app, owner_id=owner, is_default=False, now=0)

        await kernel.store.write(many)
        upstream = Upstream(edge.app_socket(kernel.paths, app), says("here"))
        times = []
        try:
            async with running_room(kernel, rest_factor=edge.REST_FACTOR):
                for number in range(CHANGES):
                    fqdn = f"new{number}.example.net"
                    began = time.perf_counter()
                    await kernel.store.write(partial(_claim, app, owner, fqdn))
                    await edge.reconcile_now(kernel, fqdns=[fqdn])
                    times.append((time.perf_counter() - began) * 1000)
                    answer = await anyio.to_thread.run_sync(_ask, kernel.config.edge.http_port, fqdn)
                    assert answer == (200, b"here"), answer
                    await anyio.sleep(0.1)
        finally:
            upstream.close()
    return statistics.median(times), max(times)


def _claim(app_id: str, owner_id: str, fqdn: str, tx: Tx) -> None:
    edge.claim(tx, app_id=app_id, owner_id=owner_id, fqdn=fqdn)


def _ask(port: int, host: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/", headers={"Host": host})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def beside_bare_caddy(havre: Installation, host: str) -> tuple[list[Load], list[Load], list[Load]]:
    """Rounds through the edge, through a Caddy that knows nothing but the same app, and through one that keeps an
    access log of it, in turn, over TLS."""
    run = Path(json.loads((havre.data / "status.json").read_text())["run"])
    target = (run / "routes" / f"{host}.sock").resolve()
    with _bare_caddy(havre, target, keeps_log=False) as bare, _bare_caddy(havre, target, keeps_log=True) as logging:
        ports, rounds = (havre.https_port, bare, logging), range(ROUNDS)
        found = [[_load(host, port, havre.tls()) for port in ports] for _ in rounds]
    ours, other, logged = (list(each) for each in zip(*found, strict=True))
    return ours, other, logged


@contextmanager
def _bare_caddy(havre: Installation, target: Path, *, keeps_log: bool) -> Iterator[int]:
    """TLS with the same certificate, one route, the app's socket; nothing else but, where asked for, a file of it."""
    base = Path(tempfile.mkdtemp(prefix="hvb-"))
    port = free_ports(1)[0]
    run = Path(json.loads((havre.data / "status.json").read_text())["run"])
    pem = (run / "certs" / "_.havre.localhost.pem").read_text()
    (base / "tls.pem").write_text(pem)
    pair = {"certificate": str(base / "tls.pem"), "key": str(base / "tls.pem")}
    server: dict[str, object] = {
        "listen": [f"127.0.0.1:{port}"], "automatic_https": {"disable": True}, "tls_connection_policies": [{}],
        "routes": [{"handle": [{"handler": "reverse_proxy", "upstreams": [{"dial": f"unix/{target}"}]}]}],
    }  # fmt: skip
    if keeps_log:
        server["logs"] = {}
    access = {"writer": {"output": "file", "filename": str(base / "access.log")}, "include": ["http.log.access"]}
    config = {
        "admin": {"disabled": True},
        "logging": {"logs": {"default": {"exclude": ["http.log.access"]}, "access": access}},
        "apps": {"http": {"servers": {"bare": server}}, "tls": {"certificates": {"load_files": [pair]}}},
    }
    (base / "config.json").write_text(json.dumps(config))
    program = Path(shutil.which("caddy") or Path(__file__).parents[1] / ".venv/bin/caddy")
    command = [str(program), "run", "--config", str(base / "config.json")]
    process = subprocess.Popen(command, env={"HOME": str(base)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(base)


def _load(host: str, port: int, tls: ssl.SSLContext) -> Load:
    time.sleep(REST_S)
    times: list[float] = []
    until = time.perf_counter() + ROUND_S

    def ask_on() -> None:
        connection = AppConnection(host, port, tls)
        connection.connect()
        request = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        mine = []
        while (began := time.perf_counter()) < until:
            connection.sock.sendall(request)
            _read_answer(connection.sock)
            mine.append(time.perf_counter() - began)
        times.extend(mine)
        connection.close()

    clients = [threading.Thread(target=ask_on) for _ in range(CLIENTS)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    times.sort()
    return Load(len(times) / ROUND_S, times[int(len(times) * 0.99)] * 1000)


def _read_answer(plain: socket.socket) -> None:
    got = b""
    while b"\r\n\r\n" not in got:
        got += plain.recv(65536)
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    length = int(
        next(line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    )
    while len(body) < length:
        body += plain.recv(65536)
