"""Connections on which nobody has asked for anything yet, counted from what Caddy's own tasks are doing.

Each connection has one goroutine (net/http, `conn.serve`), and the profile of goroutines says how many stand where. It
costs Caddy about 10 ms for a thousand connections, when it is asked, and a request nothing.
"""

from __future__ import annotations

import re

PROFILE = "/debug/pprof/goroutine?debug=1"
_GROUP = re.compile(r"^(\d+) @[^\n]*\n((?:#[^\n]*\n?)*)", re.MULTILINE)
_SERVES = "net/http.(*conn).serve+"
_STALLED = ("crypto/tls.(*Conn).handshakeContext+", "net/http.(*conn).readRequest+")


def count(profile: str) -> int:
    """How many wait for the rest of a handshake, or of a request's headers. One that is kept between two requests, or
    whose request is being answered, is not among them."""
    groups = ((int(number), stack) for number, stack in _GROUP.findall(profile))
    return sum(number for number, stack in groups if _SERVES in stack and any(each in stack for each in _STALLED))
