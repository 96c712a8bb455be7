"""Looking glasses over HTTP, against a local server that answers in their forms."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest

from havre.base.errors import UnavailableError
from havre.drivers.glass import Glass, read

pytestmark = pytest.mark.anyio
PREFIX, SIX = "198.51.100.0/24", "2001:db8:100::/48"
RIPESTAT = json.dumps(
    {
        "status": "ok",
        "data": {
            "rrcs": [
                {"rrc": "RRC00", "peers": [
                    {"asn_origin": "64510", "as_path": "64499 64496 64510", "prefix": PREFIX, "peer": "192.0.2.1"},
                    {"asn_origin": "64500", "as_path": "64498 64500", "prefix": PREFIX, "peer": "192.0.2.2"},
                ]},
                {"rrc": "RRC01", "peers": [
                    {"asn_origin": "64510", "as_path": "64497 64510", "prefix": PREFIX, "peer": "192.0.2.3"},
                    {"asn_origin": "64666", "as_path": "64497 64666", "prefix": "198.51.100.0/25", "peer": "192.0.2.3"},
                ]},
            ],
            "parameters": {"resource": PREFIX},
        },
    }
)  # fmt: skip
ALICE = json.dumps(
    {
        "imported": {
            "routes": [
                {"network": SIX, "neighbour_id": "pb_0001", "bgp": {"as_path": [64501, 64510], "origin": "IGP"}},
                {"network": "2001:db8:200::/48", "neighbour_id": "pb_2", "bgp": {"as_path": [64501, 64511]}},
            ]
        },
        "filtered": {"routes": []},
    }
)
BIRD = (
    f"Table master4:\n{PREFIX}      unicast [t1_ipv4 2026-01-01] * (100) [AS64510i]\n\tvia 10.0.0.1 on t1\n"
    "\tType: BGP univ\n\tBGP.origin: IGP\n\tBGP.as_path: 64501 64510\n"
)


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.says = 200, RIPESTAT
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/looking-glass?resource={{prefix}}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append(unquote(self.path))
        body = self.server.says.encode()
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_ripestat_s_form_has_a_route_for_each_peer_and_the_origin_of_most_first() -> None:
    found = read(RIPESTAT, PREFIX)
    assert [(each.origin, each.session) for each in found] == [
        (64510, "192.0.2.1"), (64510, "192.0.2.3"), (64500, "192.0.2.2"),
    ]  # fmt: skip
    assert found[0].path == (64499, 64496, 64510)


def test_alice_s_form_and_bird_s_text_are_read_too() -> None:
    assert [(each.origin, each.session) for each in read(ALICE, SIX)] == [(64510, "pb_0001")]
    assert [each.path for each in read(BIRD, PREFIX)] == [(64501, 64510)]


def test_what_has_no_route_to_the_prefix_is_an_answer() -> None:
    for text in ('{"data": {"rrcs": []}}', ALICE, "Network not found\n"):
        assert read(text, PREFIX) == ()


@pytest.mark.parametrize("text", ['{"data": ', "<!doctype html><html><body>Sorry", "[" * 100_000])
def test_what_is_no_answer_is_no_evidence(text: str) -> None:
    with pytest.raises(UnavailableError):
        read(text, PREFIX)


async def test_a_looking_glass_is_not_asked_more_often_than_is_polite(server: Server) -> None:
    clock = Hand()
    glass = Glass(server.url, clock, every_s=10)
    try:
        for at, count in ((0.0, 1), (9.0, 1), (10.5, 2)):
            clock.at = at
            assert (await glass.routes(PREFIX))[0].origin == 64510
            assert len(server.asked) == count
        await glass.routes(SIX)
        assert server.asked[-1] == f"/looking-glass?resource={SIX}"
    finally:
        await glass.close()


async def test_a_server_that_fails_is_no_evidence_and_is_asked_again(server: Server) -> None:
    glass = Glass(server.url, Hand(), every_s=10)
    try:
        server.status = 502
        with pytest.raises(UnavailableError, match="answers 502"):
            await glass.routes(PREFIX)
        server.status = 200
        assert len(await glass.routes(PREFIX)) == 3
    finally:
        await glass.close()


async def test_nobody_there_is_no_evidence() -> None:
    glass = Glass("http://127.0.0.1:9/?q={prefix}", Hand())
    try:
        with pytest.raises(UnavailableError, match="does not answer"):
            await glass.words(PREFIX)
    finally:
        await glass.close()
