"""A real Caddy on free ports of the loopback, with routes to small upstreams, for whoever needs a front door."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import os
import shutil
import socket
import socketserver
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import anyio

from havre.drivers import caddy
from havre.drivers.caddy import Caddy, EdgeSettings
from havre.drivers.caddy.static import KEPT_IDLE_S
from havre.drivers.x509 import root_file, write
from havre.drivers.x509.authority import open_authority
from havre.edge.certificates.model import Site
from tests.ports import free_ports
from tests.trials import FastClock

T = TypeVar("T")


def until(claim: Callable[[], Any], *, what: str, limit_s: float = 20) -> Any:
    """Return the first true answer of `claim`; fail with `what` after `limit_s`."""
    deadline = time.monotonic() + limit_s
    while not (answer := claim()):
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)
    return answer


def undisturbed(attempt: Callable[[], T]) -> T:
    """What `attempt` finds when all of it takes less time than an idle connection is kept; it is made again until then."""
    for _ in range(20):
        began = time.monotonic()
        found = attempt()
        if time.monotonic() - began < 0.8 * KEPT_IDLE_S:
            return found
    raise AssertionError("this machine is too busy to tell a kept connection from another")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Upstream(socketserver.ThreadingUnixStreamServer):
    """A server on an app's socket. `respond(handler)` may do what it likes with the connection."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, path: Path, respond: Callable[[Any], None]) -> None:
        path.unlink(missing_ok=True)
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = self.closed = 0
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                upstream.connections += 1
                super().setup()

            def finish(self) -> None:
                super().finish()
                upstream.closed += 1

            def handle_any(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length) if length else b""
                upstream.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                respond(self)

            do_GET = do_POST = do_PUT = do_HEAD = handle_any

            def address_string(self) -> str:
                return "edge"

            def log_message(self, format: str, *args: Any) -> None:
                pass

        super().__init__(str(path), Handler)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def open(self) -> int:
        return self.connections - self.closed

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self.thread.join(timeout=5)


def says(text: str) -> Callable[[Any], None]:
    """Answer 200 with `text`."""

    def respond(handler: Any) -> None:
        body = text.encode()
        handler.send_response(200)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)

    return respond


@dataclass
class CaddyRig:
    """Everything in one short directory; call `start`, and `close` in the end."""

    settings: EdgeSettings = field(init=False)
    upstreams: list[Upstream] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="hve-", dir="/tmp"))
        self.run = self.base / "run"
        self.folder = self.base / "edge"
        self.make_folders()
        self.authority = open_authority(self.base / "ca", now=time.time_ns() // 1_000_000)
        http_port, https_port = free_ports(2)
        self.settings = EdgeSettings(
            run=self.run, storage=self.folder / "storage", access_log=self.folder / "access.log",
            caddy_log=self.folder / "caddy.log", base_domain="havre.test", bind="127.0.0.1",
            http_port=http_port, https_port=https_port, dial_for_s=1.0, answer_within_s=5.0, secret="hush",
        )  # fmt: skip
        names = ["localhost", "havre.test", "*.havre.test", "127.0.0.1", "::1"]
        for host in names[:3]:
            self.certify(host, names)

    def make_folders(self) -> None:
        trees = ("apps", "routes", "certs", "acme", "s", "slots", "i", "tcp", "l", "k")
        for each in (*trees, "flags/known", "flags/force-https", "flags/down", "flags/sticky", "flags/long"):
            (self.run / each).mkdir(parents=True, exist_ok=True)

    def certify(self, host: str, names: list[str] | None = None, *, text: str | None = None) -> None:
        """Have the edge show for `host` a leaf of the rig's authority, or `text`."""
        made = text or self.authority.leaf(names or [host], now=time.time_ns() // 1_000_000)[0]
        write(self.run / "certs" / Site(host).file, made)

    @property
    def caddy(self) -> Caddy:
        return Caddy(self.folder, self.settings, FastClock())

    def start(self, **changed: Any) -> None:
        if changed:
            self.settings = replace(self.settings, **changed)
        anyio.run(self.caddy.ensure)

    def close(self) -> None:
        anyio.run(lambda: caddy.stop(self.folder, grace_s=0.5))
        for each in self.upstreams:
            each.close()
        shutil.rmtree(self.base, ignore_errors=True)

    # what the room does, by hand

    def upstream(self, name: str, respond: Callable[[Any], None]) -> Upstream:
        made = Upstream(self.run / "apps" / f"{name}.sock", respond)
        self.upstreams.append(made)
        return made

    def know(self, fqdn: str) -> None:
        host = fqdn.partition("/")[0]
        if not host.endswith(".havre.test"):
            self.certify(host)
        self._touch("known", fqdn)

    def force_https(self, fqdn: str) -> None:
        self._touch("force-https", fqdn)

    def route(self, fqdn: str, name: str) -> None:
        """Point `fqdn` at the upstream `name`, as one rename."""
        self.know(fqdn)
        link = self.run / "routes" / caddy.route_name(fqdn)
        link.parent.mkdir(parents=True, exist_ok=True)
        fresh = link.with_name("-" + link.name)
        fresh.symlink_to(self.run / "apps" / f"{name}.sock")
        fresh.rename(link)

    def keep(self, fqdn: str, name: str, entry: str) -> None:
        """Keep connections to the upstream `name` under `entry`, a mark and a token, and under no other."""
        folder = self.run / "l" / caddy.route_name(fqdn)
        folder.mkdir(parents=True, exist_ok=True)
        fresh = self.run / "kept.new"
        fresh.symlink_to(self.run / "apps" / f"{name}.sock")
        fresh.rename(folder / entry)
        for each in folder.iterdir():
            if each.is_symlink() and each.name != entry:
                each.unlink()

    def lead(self, host: str, name: str) -> None:
        """Lead requests to `host` to the upstream `name` at once."""
        fresh = self.run / "led.new"
        fresh.symlink_to(self.run / "apps" / f"{name}.sock")
        fresh.rename(self.run / "k" / f"{host}.sock")

    def close_at_once(self, host: str, *, is_closed: bool = True) -> None:
        flag = self.run / "flags" / "long" / f"{host}.sock"
        flag.touch() if is_closed else flag.unlink()

    def unroute(self, fqdn: str) -> None:
        (self.run / "routes" / caddy.route_name(fqdn)).unlink()
        (self.run / "flags/known" / caddy.route_name(fqdn)).unlink()

    def _touch(self, flag: str, fqdn: str) -> None:
        file = self.run / "flags" / flag / caddy.route_name(fqdn)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()

    # as a visitor

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(root_file(self.base / "ca")))

    def connect(self, host: str | None = None, *, secure: bool = False) -> socket.socket:
        """A connection to the edge; `secure` with that host as SNI."""
        port = self.settings.https_port if secure else self.settings.http_port
        plain = socket.create_connection(("127.0.0.1", port), timeout=20)
        return self.tls().wrap_socket(plain, server_hostname=host) if secure else plain

    def ask(
        self, host: str, path: str = "/", *, method: str = "GET", body: bytes | None = None, secure: bool = False,
        sni: str | None = None, **headers: str,
    ) -> Answer:  # fmt: skip
        with contextlib.closing(http.client.HTTPConnection(host.split(":")[0] or "x", timeout=20)) as connection:
            connection.sock = self.connect(sni or host, secure=secure)
            sent = {"Host": host, **{key.replace("_", "-"): value for key, value in headers.items()}}
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def raw(self, request: bytes) -> bytes:
        """Send bytes, return all that comes until the other side closes."""
        with self.connect() as plain:
            plain.sendall(request)
            plain.settimeout(5)
            chunks = []
            with contextlib.suppress(TimeoutError):
                while chunk := plain.recv(65536):
                    chunks.append(chunk)
        return b"".join(chunks)


@contextlib.contextmanager
def running_rig(**changed: Any) -> Iterator[CaddyRig]:
    rig = CaddyRig()
    try:
        rig.start(**changed)
        yield rig
    finally:
        rig.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
