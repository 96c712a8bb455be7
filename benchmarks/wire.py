"""Figures of the API itself, asked at its unix socket: without the edge, one request after another."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import statistics
import time
from pathlib import Path
from typing import Any

import websockets
from tests.system.rig import Installation

from havre.client import CONSUMER

STREAMS = 200


class SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))


class Api:
    """The operator at the control plane's own socket."""

    def __init__(self, havre: Installation) -> None:
        status = json.loads((havre.data / "status.json").read_text())
        own = json.loads((havre.data / "credentials.json").read_text())
        signature = f"{CONSUMER[1]}%26{own['secret']}"
        fields = f'oauth_consumer_key="{CONSUMER[0]}", oauth_token="{own["token"]}", oauth_signature="{signature}"'
        self.headers = {"authorization": f"OAuth {fields}", "host": f"localhost:{havre.https_port}"}
        self.path = Path(status["run"]) / "api.sock"
        self.pid = int(status["pid"])
        self._connection = SocketConnection(self.path)

    def ask(self, method: str, path: str, body: Any = None) -> bytes:
        headers = self.headers | {"content-type": "application/json"}
        self._connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status < 300, content
        return content

    def p50_ms(self, path: str, *, count: int) -> float:
        times = []
        for _ in range(count):
            began = time.perf_counter()
            self.ask("GET", path)
            times.append((time.perf_counter() - began) * 1000)
        return statistics.median(times)


def summary_ms(havre: Installation) -> tuple[float, int]:
    """p50 of the summary of somebody with 1,000 apps, and its bytes."""
    api = Api(havre)
    owner = json.loads(api.ask("POST", "/v2/organisations", {"name": "Thousand"}))["id"]
    for number in range(1000):
        api.ask("POST", f"/v2/organisations/{owner}/applications", {"name": f"app-{number}", "instanceType": "node"})
    size = len(api.ask("GET", "/v2/summary"))
    return api.p50_ms("/v2/summary", count=50), size


def signed_ms(havre: Installation) -> tuple[float, float]:
    """p50 of a small signed GET, and of a route of the framework that does nothing, in turn."""
    api = Api(havre)
    api.p50_ms("/v2/self", count=50)
    pairs = [(api.p50_ms("/v2/self", count=100), api.p50_ms("/health", count=100)) for _ in range(5)]
    return statistics.median(first for first, _ in pairs), statistics.median(second for _, second in pairs)


def streams_mb(havre: Installation) -> float:
    """What 200 log streams and 200 sockets of events, all open, add to the control plane's memory (PSS, MB)."""
    return asyncio.run(_open_all(Api(havre)))


async def _open_all(api: Api) -> float:
    app = json.loads(api.ask("POST", "/v2/self/applications", {"name": "streamed", "instanceType": "node"}))
    path = f"/v4/logs/organisations/{app['ownerId']}/applications/{app['id']}/logs"
    before = pss_mb(api.pid)
    streams = [await _stream(api, path) for _ in range(STREAMS)]
    sockets = [await _socket(api) for _ in range(STREAMS)]
    await asyncio.sleep(6)  # each has had its heartbeat
    added = pss_mb(api.pid) - before
    for _, writer in streams:
        writer.close()
    for each in sockets:
        await each.close()
    return added


async def _stream(api: Api, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_unix_connection(str(api.path))
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in api.headers.items()), "", ""]
    writer.write("\r\n".join(lines).encode())
    first = await reader.readline()
    assert b" 200 " in first, first
    return reader, writer


async def _socket(api: Api) -> Any:
    uri = f"ws://{api.headers['host']}/v2/events/event-socket"
    opened = await websockets.unix_connect(str(api.path), uri)
    await opened.recv()
    await opened.send(json.dumps({"message_type": "oauth", "authorization": api.headers["authorization"]}))
    assert "heartbeat" in str(await opened.recv())
    return opened


def pss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("Pss:"))) / 1024
