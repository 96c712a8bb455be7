"""The edge over HTTP/2 and HTTP/3, over IPv6, behind a balancer that speaks PROXY, with visitors that stay, and
what is not over at once: uploads, streams, websockets."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aioquic.asyncio.client import connect as connect_quic
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent
from websockets.sync.client import connect as connect_websocket
from websockets.sync.server import unix_serve

from havre.drivers.caddy.static import COOKIE, STICKY_SLOTS
from havre.drivers.x509 import root_file
from tests.driver.caddy_rig import CaddyRig, running_rig, says


@pytest.fixture(scope="module")
def rig() -> Iterator[CaddyRig]:
    """Both loopback addresses, and a balancer that may be any of the IPv4 ones."""
    with running_rig(bind="127.0.0.1,::1", proxy_protocol_from=("127.0.0.0/8",)) as made:
        yield made


def tells(handler: Any) -> None:
    """Answer with what the app sees."""
    kept = {key.lower(): value for key, value in handler.headers.items()}
    says(json.dumps(kept | {"path": handler.path}))(handler)


# versions of HTTP


def curl(rig: CaddyRig, *args: str) -> str:
    port = rig.settings.https_port
    command = ["curl", "-sS", "--max-time", "20", "--cacert", str(root_file(rig.base / "ca"))]
    command += ["--noproxy", "*", "--resolve", f"shop.havre.test:{port}:127.0.0.1", *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_http_2_is_spoken_and_many_requests_share_a_connection(rig: CaddyRig) -> None:
    rig.upstream("a", tells)
    rig.route("shop.havre.test", "a")
    url = f"https://shop.havre.test:{rig.settings.https_port}/x[1-5]"
    text = curl(rig, "--http2", "-w", "\n%{http_version} %{num_connects} %{http_code}\n", url)
    assert [line for line in text.splitlines() if line.startswith("2 ")] == ["2 1 200", *["2 0 200"] * 4]
    assert json.loads(text.splitlines()[0])["x-forwarded-proto"] == "https"


def test_http_3_is_announced_and_spoken(rig: CaddyRig) -> None:
    rig.upstream("a", tells)
    rig.route("shop.havre.test", "a")
    announced = rig.ask("shop.havre.test", secure=True).headers["alt-svc"]
    assert f'h3=":{rig.settings.https_port}"' in announced
    for host in ("127.0.0.1", "::1"):
        status, body = asyncio.run(ask_over_quic(rig, host, "shop.havre.test", "/deep?q", b"x" * 300_000))
        seen = json.loads(body)
        assert (status, seen["path"], seen["x-forwarded-for"]) == ("200", "/deep?q", host)


class _Client(QuicConnectionProtocol):
    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.http = H3Connection(self._quic)
        self.status, self.body = "", b""
        self.done = asyncio.Event()

    def quic_event_received(self, event: QuicEvent) -> None:
        for each in self.http.handle_event(event):
            if isinstance(each, HeadersReceived):
                self.status = dict(each.headers)[b":status"].decode()
            if isinstance(each, DataReceived):
                self.body += each.data
            if isinstance(each, HeadersReceived | DataReceived) and each.stream_ended:
                self.done.set()


async def ask_over_quic(rig: CaddyRig, address: str, host: str, path: str, body: bytes) -> tuple[str, bytes]:
    told = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name=host)
    told.load_verify_locations(str(root_file(rig.base / "ca")))
    port = rig.settings.https_port
    async with connect_quic(address, port, configuration=told, create_protocol=_Client) as client:
        assert isinstance(client, _Client)
        stream = client._quic.get_next_available_stream_id()
        head = [
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", host.encode()),
            (b":path", path.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        client.http.send_headers(stream, head)
        client.http.send_data(stream, body, end_stream=True)
        client.transmit()
        await asyncio.wait_for(client.done.wait(), 20)
        return client.status, client.body


# addresses


def test_the_edge_listens_on_ipv6_as_on_ipv4(rig: CaddyRig) -> None:
    upstream = rig.upstream("a", tells)
    rig.route("shop.havre.test", "a")
    for secure in (False, True):
        port = rig.settings.https_port if secure else rig.settings.http_port
        plain: socket.socket = socket.create_connection(("::1", port), timeout=20)
        if secure:
            plain = rig.tls().wrap_socket(plain, server_hostname="shop.havre.test")
        connection = http.client.HTTPConnection("x")
        connection.sock = plain
        connection.request("GET", "/", headers={"Host": "shop.havre.test", "X-Forwarded-For": "6.6.6.6"})
        assert connection.getresponse().status == 200
        connection.close()
        assert upstream.seen[-1][1]["x-forwarded-for"] == "::1"
    context = ssl.create_default_context(cafile=str(root_file(rig.base / "ca")))
    with socket.create_connection(("::1", rig.settings.https_port), timeout=20) as plain6:
        with context.wrap_socket(plain6, server_hostname="::1") as tls:
            assert ("IP Address", "0:0:0:0:0:0:0:1") in tls.getpeercert()["subjectAltName"]  # type: ignore[index]


def behind(rig: CaddyRig, address: str, header: bytes, *, secure: bool = False) -> str:
    """What the app says of who comes from `address` with `header` before all else."""
    port = rig.settings.https_port if secure else rig.settings.http_port
    plain: socket.socket = socket.create_connection((address, port), timeout=20)
    plain.sendall(header)
    if secure:
        plain = rig.tls().wrap_socket(plain, server_hostname="shop.havre.test")
    with plain:
        plain.sendall(
            b"GET / HTTP/1.1\r\nHost: shop.havre.test\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n"
        )
        answer = http.client.HTTPResponse(plain)
        answer.begin()
        return str(json.loads(answer.read())["x-forwarded-for"])


def test_a_balancer_tells_whom_it_brings_and_a_stranger_cannot(rig: CaddyRig) -> None:
    rig.upstream("a", tells)
    rig.route("shop.havre.test", "a")
    proxy = b"PROXY TCP4 203.0.113.7 192.0.2.1 40000 443\r\n"
    for secure in (False, True):
        assert behind(rig, "127.0.0.1", proxy, secure=secure) == "203.0.113.7"
        assert behind(rig, "127.0.0.1", b"", secure=secure) == "127.0.0.1"
    try:
        seen = behind(rig, "::1", proxy)
    except (OSError, http.client.HTTPException, ValueError):
        seen = "refused"
    assert seen in ("refused", "::1"), "the header of who is not in the allowed ranges is not believed"


def test_without_the_setting_no_proxy_header_is_believed() -> None:
    with running_rig() as rig:
        rig.upstream("a", tells)
        rig.route("shop.havre.test", "a")
        with rig.connect() as plain:
            plain.sendall(
                b"PROXY TCP4 203.0.113.7 192.0.2.1 40000 443\r\nGET / HTTP/1.1\r\nHost: shop.havre.test\r\n\r\n"
            )
            assert plain.recv(4096).split(b" ", 2)[1] == b"400"


# visitors that stay


def make_sticky(rig: CaddyRig, app: str, doors: dict[str, str]) -> None:
    """What the room does: `doors` says to which upstream each slot leads."""
    (rig.run / "flags" / "sticky" / "shop.havre.test.sock").touch()
    place = rig.run / "slots" / app
    place.mkdir(exist_ok=True)
    for slot, name in doors.items():
        (place / slot).unlink(missing_ok=True)
        (place / slot).symlink_to(rig.run / "apps" / f"{name}.sock")
    link = rig.run / "s" / "shop.havre.test.sock"
    link.unlink(missing_ok=True)
    link.symlink_to(place)


def test_a_visitor_stays_with_an_instance_and_goes_to_another_when_it_is_gone(rig: CaddyRig) -> None:
    for name in ("one", "two", "any"):
        rig.upstream(name, says(name))
    rig.route("shop.havre.test", "any")
    make_sticky(rig, "app", {slot: ("one", "two")[number % 2] for number, slot in enumerate(STICKY_SLOTS)})
    met: Counter[str] = Counter()
    for secure in (False, True):
        for _ in range(12):
            first = rig.ask("shop.havre.test", secure=secure)
            cookie = first.headers["set-cookie"]
            assert ("Secure" in cookie) is secure and "HttpOnly" in cookie and "Path=/;" in cookie
            value = cookie.partition(";")[0]
            again = [rig.ask("shop.havre.test", "/x", secure=secure, Cookie=f"a=b; {value}") for _ in range(3)]
            assert {each.text for each in again} == {first.text}
            assert not any("set-cookie" in each.headers for each in again)
            met[first.text] += 1
    assert set(met) == {"one", "two"}
    rig.upstreams[-3 if rig.upstreams[-3].seen else -2].close()
    gone = {name: rig.ask("shop.havre.test", Cookie=f"{COOKIE}={uuid_of(slot)}", method="POST", body=b"x" * 100_000).text
            for name, slot in (("one", STICKY_SLOTS[0]), ("two", STICKY_SLOTS[1]))}  # fmt: skip
    assert sorted(gone.values()) in (["any", "one"], ["any", "two"])


def uuid_of(slot: str) -> str:
    return f"00000000-0000-4000-{slot}00-000000000000"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "../../apps/other",
        "00000000-0000-4000-ff00-000000000000",
        f"{uuid_of('80')}/../x",
        "{http.request.uri}",
    ],
)
def test_no_cookie_leads_to_another_app(rig: CaddyRig, value: str) -> None:
    other = rig.upstream("other", says("other"))
    rig.upstream("any", says("any"))
    rig.route("shop.havre.test", "any")
    make_sticky(rig, "app2", {})
    answer = rig.ask("shop.havre.test", Cookie=f"{COOKIE}={value}")
    assert (answer.status, answer.text) == (200, "any")
    assert other.seen == []


# bodies


def test_a_large_upload_goes_through_without_being_kept(rig: CaddyRig) -> None:
    upload(rig, mebibytes=64)


@pytest.mark.soak
def test_two_gigabytes_go_through_without_being_kept(rig: CaddyRig) -> None:
    upload(rig, mebibytes=2048)


def upload(rig: CaddyRig, *, mebibytes: int) -> None:
    """The body arrives whole, and the edge's memory stays flat while it passes."""
    piece = bytes(range(256)) * 4096
    counted = {"bytes": 0}

    def receive(handler: Any) -> None:
        while size := int(handler.rfile.readline(), 16):
            while size:
                data = handler.rfile.read(min(size, 1 << 20))
                counted["bytes"] += len(data)
                size -= len(data)
            handler.rfile.readline()
        handler.rfile.readline()
        says("done")(handler)

    rig.upstream("sink", receive)
    rig.route("shop.havre.test", "sink")
    found = rig.caddy.running()
    assert found is not None
    peak, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            peak[0] = max(peak[0], resident_kib(found.pid))

    watcher = threading.Thread(target=watch)
    before = resident_kib(found.pid)
    with rig.connect("shop.havre.test", secure=True) as tls:
        watcher.start()
        try:
            tls.settimeout(120)
            # chunked: the upstream of the rig would take a body of a known length into its memory
            tls.sendall(b"POST / HTTP/1.1\r\nHost: shop.havre.test\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(mebibytes):
                tls.sendall(b"100000\r\n" + piece + b"\r\n")
            tls.sendall(b"0\r\n\r\n")
            answer = http.client.HTTPResponse(tls)
            answer.begin()
            assert answer.read() == b"done"
        finally:
            stop.set()
            watcher.join()
    assert counted["bytes"] == mebibytes << 20
    assert peak[0] - before < 32 * 1024, f"{peak[0] - before} KiB more while {mebibytes} MiB passed"


def resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS:")))


# streams


def test_what_is_streamed_arrives_as_it_is_sent(rig: CaddyRig) -> None:
    step = threading.Semaphore(0)

    def stream(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        for n in range(3):
            handler.wfile.write(f"data: {n}\n\n".encode())
            handler.wfile.flush()
            step.acquire(timeout=10)
        handler.close_connection = True

    rig.upstream("sse", stream)
    rig.route("sse.havre.test", "sse")
    with rig.connect("sse.havre.test", secure=True) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: sse.havre.test\r\n\r\n")
        answer = http.client.HTTPResponse(plain)
        answer.begin()
        for n in range(3):
            assert answer.readline() == f"data: {n}\n".encode()
            answer.readline()
            step.release()


def test_an_upload_is_handed_on_before_it_is_complete(rig: CaddyRig) -> None:
    began = threading.Event()

    def receive(handler: Any) -> None:
        size = int(handler.rfile.readline(), 16)
        handler.rfile.read(size + 2)
        began.set()
        handler.rfile.readline()
        handler.rfile.readline()
        says("whole")(handler)

    rig.upstream("up", receive)
    rig.route("up.havre.test", "up")
    with rig.connect() as plain:
        plain.sendall(b"POST / HTTP/1.1\r\nHost: up.havre.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        assert began.wait(10)
        plain.sendall(b"0\r\n\r\n")
        answer = http.client.HTTPResponse(plain)
        answer.begin()
        assert answer.read() == b"whole"


@contextlib.contextmanager
def echo_websockets(rig: CaddyRig, name: str) -> Iterator[None]:
    def echo(connection: Any) -> None:
        for message in connection:
            connection.send(message)

    path = rig.run / "apps" / f"{name}.sock"
    path.unlink(missing_ok=True)
    with unix_serve(echo, str(path)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


def test_a_websocket_passes_and_outlives_a_new_configuration() -> None:
    with running_rig() as rig, echo_websockets(rig, "ws"):
        rig.route("ws.havre.test", "ws")
        uri = f"wss://ws.havre.test:{rig.settings.https_port}/"
        with connect_websocket(uri, ssl=rig.tls(), sock=_plain(rig), proxy=None) as client:
            client.send("before")
            assert client.recv(timeout=10) == "before"
            rig.unroute("ws.havre.test")
            rig.start(answer_within_s=6.0)
            client.send("after")
            assert client.recv(timeout=10) == "after"


def _plain(rig: CaddyRig) -> socket.socket:
    return socket.create_connection(("127.0.0.1", rig.settings.https_port))
