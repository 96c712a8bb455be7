"""Requests of the edge's log: what is found in a line at once, and what is read of it later, say the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havre.observe import entries
from havre.observe.model import AccessLine

TRACE = "0af7651916cd43dd8448eb211c80319c"


def edge_line(*, uri: str = "/a?b=c", host: str = "shop.test", status: int = 200, **more: Any) -> dict[str, Any]:
    request = {
        "remote_port": "4711",
        "client_ip": "192.0.2.7",
        "proto": "HTTP/2.0",
        "method": "GET",
        "host": host,
        "uri": uri,
    }
    line = {"ts": 1700000000.1239, "logger": "http.log.access.https", "request": request}
    return line | {"bytes_read": 3, "duration": 0.0125, "size": 12, "status": status, "uuid": "12-34"} | more


def written(line: dict[str, Any], *, ascii: bool = False) -> bytes:
    return json.dumps(line, separators=(",", ":"), ensure_ascii=ascii).encode()


def read(raw: bytes) -> AccessLine:
    found = entries.entry(raw)
    assert found is not None
    line = entries.line(found.text, app_id="app_1", at=found.at)
    assert line is not None
    return line


@pytest.mark.parametrize("first", [False, True], ids=["kept as it is", "in another order"])
def test_a_request_is_read_from_the_edges_line(first: bool) -> None:
    line = edge_line(host="Shop.test:8443", traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    raw = written({"size": line.pop("size")} | line if first else line)
    found = entries.entry(raw)
    assert found is not None and (found.text == raw.decode()) is not first
    assert (found.at, found.status, found.duration_ms) == (1700000000123, 200, 12.5)
    assert read(raw) == AccessLine(
        app_id="app_1", at=1700000000123, host="shop.test", method="GET", path="/a?b=c", scheme="https",
        protocol="HTTP/2.0", status=200, duration_ms=12.5, bytes_in=3, bytes_out=12, source_ip="192.0.2.7",
        source_port=4711, request_id=TRACE, route="/shop.test.sock",
    )  # fmt: skip


@given(
    uri=st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
    | st.sampled_from(['"host":"evil.test"', ',"status":500,"route":"/evil.sock"', '"}', '\\"host\\":\\"evil.test\\"']),
    route=st.none() | st.sampled_from(["/shop.test/a.sock", "/_.test.sock"]),
    status=st.integers(0, 599),
    ascii=st.booleans(),
)
def test_nothing_that_a_visitor_sends_is_taken_for_what_the_edge_says(
    uri: str, route: str | None, status: int, ascii: bool
) -> None:
    raw = written(edge_line(uri=uri, status=status, **({} if route is None else {"route": route})), ascii=ascii)
    found = entries.entry(raw)
    assert found is not None
    assert (found.host, found.status, found.at, found.duration_ms) == ("shop.test", status, 1700000000123, 12.5)
    assert found.route in (route or "", route or "/shop.test.sock")
    line = read(raw)
    assert (line.path, line.host, line.status, line.route) == (uri, "shop.test", status, route or "/shop.test.sock")


def test_a_line_as_long_as_a_visitor_likes_is_kept_within_bounds() -> None:
    found = entries.entry(written(edge_line(uri="/" + "x" * 1_000_000)))
    assert found is not None and len(found.text) < entries.LONG
    assert len(read(written(edge_line(uri="/" + "x" * 1_000_000))).path) == 8192


def test_a_torn_line_is_passed_over_when_it_is_read() -> None:
    whole = written(edge_line()).decode()
    torn = whole[:150] + whole
    found = entries.entry(torn.encode())
    assert found is None or entries.line(found.text) is None


@given(
    st.one_of(
        st.binary(max_size=60),
        st.binary(max_size=60).map(lambda some: b'{"ts":' + some + b"}"),
        st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda x: json.dumps(x).encode()),
    )
)
def test_what_is_no_request_is_passed_over(content: bytes) -> None:
    assert entries.entry(content) is None
    assert entries.line(content.decode(errors="replace")) is None
