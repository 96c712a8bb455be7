"""Before the framework: paths in one form; bodies bounded in size and in time, and read whole.

A body that is read whole can be a part of what is signed, and a slow one holds up nobody but itself.
"""

from __future__ import annotations

import json

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from havre.api import errors
from havre.base.errors import ExhaustedError, InvalidError, UnavailableError

BODY_LIMIT = 1024**2
BODY_S = 30.0
STREAMED = "/git/"


class Shaped:
    """Doubled slashes collapse (a trailing slash in API_HOST makes them); `scope["havre.body"]` is the body."""

    def __init__(self, app: ASGIApp, *, limit_s: float = BODY_S) -> None:
        self._app = app
        self._limit_s = limit_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        while "//" in path:
            path = path.replace("//", "/")
        scope = dict(scope, path=path)
        if scope["type"] == "http" and not path.startswith(STREAMED):
            try:
                _check_query(scope)
                body = await self._body(scope, receive)
            except (ExhaustedError, InvalidError, UnavailableError) as error:
                answer = errors.answer(error)
                answer.headers["connection"] = "close"
                await answer(scope, receive, send)
                return
            if body is None:
                return
            if b"\\u" in body and not _is_text(body):
                answer = errors.answer(InvalidError("the body has characters that no text may have (NUL, half a pair)"))
                await answer(scope, receive, send)
                return
            scope["havre.body"] = body
            receive = _replayed(body, receive)
        await self._app(scope, receive, send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """None: the client went away."""
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit():
            raise InvalidError("Content-Length is not a number")
        if int(length[:20]) > BODY_LIMIT:
            raise ExhaustedError(f"a request may have {BODY_LIMIT} bytes")
        parts: list[bytes] = []
        size = 0
        with anyio.move_on_after(self._limit_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > BODY_LIMIT:
                    raise ExhaustedError(f"a request may have {BODY_LIMIT} bytes")
                if not message.get("more_body", False):
                    return b"".join(parts)
        raise InvalidError(f"the request's body did not come within {self._limit_s:.0f} seconds", status=408)


def _check_query(scope: Scope) -> None:
    """Raises InvalidError for what no store takes as text."""
    if "\0" in scope["path"] or b"%00" in scope.get("query_string", b""):
        raise InvalidError("a NUL character is in the address")


def _is_text(body: bytes) -> bool:
    """Whether what a JSON body writes as escapes can be written as text at all."""
    try:
        said = json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    except (ValueError, RecursionError):
        return True  # no JSON: for the framework to refuse
    return b"\\u0000" not in said


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
