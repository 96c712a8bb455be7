"""Lines of the edge's JSON access log: kept as they are, and read when somebody asks for them.

There is one for every request of everybody, and hardly any is ever looked at. What is needed at once, whose it is,
when it was and how it ended, is found without reading the rest.
"""

from __future__ import annotations

from typing import Any

import pydantic_core

from havre.observe.model import AccessEntry, AccessLine

LONG = 16 * 1024  # a longer line is read at once, and kept within bounds
OF_A_REQUEST = AccessLine._fields[2:]  # all but `app_id` and `at`


def entry(raw: bytes) -> AccessEntry | None:
    """What is to be kept of a line, without its end; None when it is no request.

    The edge begins each with the moment. A quote in what a visitor sent has a backslash before it, so none of these
    names is found in it.
    """
    try:
        text = raw.decode()
        if text[:6] != '{"ts":' or text[-1:] != "}" or len(text) > LONG:
            return _read(raw)
        host = text.index('"host":"') + 8
        duration = text.index('"duration":', host) + 11
        status = text.index('"status":', duration) + 9
        route = text.find('"route":"', status) + 9
        return AccessEntry(
            int(float(text[6 : text.index(",", 6)]) * 1000),
            text[host : text.index('"', host)],
            text[route : text.index('"', route)] if route > 8 else "",
            int(text[status : status + 3]),
            float(text[duration : text.index(",", duration)]) * 1000,
            text,
        )
    except (ValueError, OverflowError):
        return _read(raw)


def _read(raw: bytes) -> AccessEntry | None:
    line = _line_of_edge(raw)
    return None if line is None else kept(line)


def kept(line: AccessLine) -> AccessEntry:
    """The entry of a request that is known already."""
    text = pydantic_core.to_json(dict(zip(OF_A_REQUEST, line[2:], strict=True))).decode()
    return AccessEntry(line.at, line.host, line.route, line.status, line.duration_ms, text)


def line(text: str, *, app_id: str = "", at: int = 0) -> AccessLine | None:
    """The request of an entry's text. None for a line that was torn, such as by a full disk."""
    try:
        found = pydantic_core.from_json(text)
        if "request" in found:
            read = _line_of_edge(text)
            return None if read is None else read._replace(app_id=app_id)
        return AccessLine(app_id=app_id, at=at, **found)
    except (ValueError, TypeError):
        return None


def _line_of_edge(raw: bytes | str) -> AccessLine | None:
    """The logger's name ends in the scheme. Where no `route` stands, the whole host is one."""
    try:
        said = pydantic_core.from_json(raw)
        request: dict[str, Any] = said["request"]
        host = str(request["host"]).rsplit(":", 1)[0].lower().rstrip(".")
        return AccessLine(
            app_id="",
            at=int(float(said["ts"]) * 1000),
            host=host,
            method=str(request["method"])[:40],
            path=str(request["uri"])[:8192],
            scheme="https" if str(said.get("logger")).endswith(".https") or request.get("tls") else "http",
            protocol=str(request.get("proto", ""))[:20],
            status=int(said["status"]),
            duration_ms=float(said.get("duration", 0)) * 1000,
            bytes_in=int(said.get("bytes_read", 0)),
            bytes_out=int(said.get("size", 0)),
            source_ip=str(request.get("client_ip") or request.get("remote_ip", "")),
            source_port=int(request.get("remote_port") or 0),
            request_id=_request_id(said),
            route=str(said.get("route") or f"/{host}.sock"),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def _request_id(said: dict[str, Any]) -> str:
    """The trace's id, which the app was told, too: of `traceparent` (W3C Trace Context, section 3.2), or the `uuid`
    that the edge began one with."""
    traced = str(said.get("traceparent", "")).split("-")
    begun = str(said.get("uuid", "")).replace("-", "")
    return str(said.get("traceID") or (traced[1] if len(traced) > 3 else begun))[:80]
