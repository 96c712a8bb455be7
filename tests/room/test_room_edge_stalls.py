"""Visitors who hold connections and ask for nothing: the proxy cuts them, and the operator is told, once."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from havre import edge
from havre.edge.stalls import MANY, silent_visitors
from havre.kernel.events import events_after
from havre.kernel.kernel import Kernel
from havre.kernel.rooms import Room
from tests.room.edge_rig import edge_kernel, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
HALF = b"GET / HTTP/1.1\r\nHost: shop.havre.test\r\nX-"
# The preface, SETTINGS, and HEADERS without END_HEADERS (RFC 9113 sections 3.4, 6.2)
HALF_H2 = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]) + bytes([0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82])
)
WHOLE = b"GET / HTTP/1.1\r\nHost: shop.havre.test\r\n\r\n"


@contextmanager
def visitors(
    kernel: Kernel, *, plain: int = 0, in_handshake: int = 0, over_tls: int = 0, over_h2: int = 0
) -> Iterator[None]:
    """So many who say the half of a request, the beginning of a handshake, and the half of a request after one."""
    config, held = kernel.config.edge, []
    first_h2 = plain + in_handshake + over_tls
    try:
        for number in range(first_h2 + over_h2):
            port = config.http_port if number < plain else config.https_port
            held.append(socket.create_connection(("127.0.0.1", port), timeout=20))
            if number < plain:
                held[-1].sendall(HALF)
            elif number < plain + in_handshake:
                held[-1].sendall(b"\x16\x03\x01\x02\x00")  # the head of a record that does not come
            else:
                held[-1] = _wrapped(held[-1], "h2" if number >= first_h2 else "http/1.1")
                held[-1].sendall(HALF_H2 if number >= first_h2 else HALF)
        yield
    finally:
        for each in held:
            each.close()


def _wrapped(plain: socket.socket, protocol: str = "http/1.1") -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return context.wrap_socket(plain, server_hostname="shop.havre.test")


async def told(kernel: Kernel) -> list[dict[str, Any]]:
    events = await kernel.store.read(lambda conn: events_after(conn, 0))
    return [dict(each.facts) for each in events if each.name == "edge.visitors.stalled"]


@asynccontextmanager
async def looking_room(kernel: Kernel) -> AsyncIterator[tuple[Room, Callable[[], Awaitable[Any]]]]:
    """The room with its proxy at work, and its look at visitors, which goes on when the trial says so."""
    room = edge.setup(kernel)
    assert room.start is not None
    await room.start()
    look = next(each.run for each in room.reconcilers if each.name == "edge.visitors")
    yield room, look


async def seen_after(look: Callable[[], Awaitable[Any]], claim: Callable[[], bool], *, what: str) -> None:
    async def is_so() -> bool:
        await look()
        return claim()

    await until(is_so, what=what, limit_s=60)


async def test_visitors_who_never_ask_are_told_to_the_operator_once_with_the_addresses_that_hold_most() -> None:
    async with edge_kernel() as kernel, looking_room(kernel) as (room, look):
        assert room.health is not None

        def stalled() -> float:
            return kernel.metrics.get_sample_value("havre_edge_stalled") or 0

        with visitors(kernel, plain=50, in_handshake=30, over_tls=30, over_h2=30):
            await seen_after(look, lambda: stalled() >= 139, what="they are seen, each kind of them")
            (event,) = await told(kernel)
            assert 100 <= event["count"] <= 141
            assert [each["address"] for each in event["most"]] == ["127.0.0.1"]
            assert 100 <= event["most"][0]["connections"] <= 141
            said = (await room.health()).error
            assert "visitors hold connections and ask for nothing, most of them from 127.0.0.1 (" in said
        with visitors(kernel, plain=140):
            await seen_after(look, lambda: stalled() >= 139, what="another wave is seen")
        await seen_after(look, lambda: stalled() == 0, what="they are gone")
        assert (await room.health()).error == "", "well again"
        assert len(await told(kernel)) == 1, "waves are one spell"
        assert kernel.metrics.get_sample_value("havre_edge_stalls_total") == 1


async def test_visitors_whose_connections_are_kept_between_two_requests_are_nobody_who_stalls() -> None:
    async with edge_kernel() as kernel, looking_room(kernel) as (_, look):
        config = kernel.config.edge
        held = [_wrapped(socket.create_connection(("127.0.0.1", config.https_port))) for _ in range(MANY + 20)]
        for each in held:
            each.sendall(WHOLE)
            assert each.recv(4096).startswith(b"HTTP/1.1 404")
        await until(lambda: sum(silent_visitors(config).values()) > MANY, what="nothing is sent for a while")
        await look()
        assert await told(kernel) == []
        for each in held:
            each.close()
