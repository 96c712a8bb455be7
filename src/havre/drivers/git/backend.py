"""git's smart HTTP protocol by `git http-backend` (git-http-backend(1), RFC 3875), streamed both ways.

A push that has arrived whole is carried out whether or not the pusher still listens: else the branch could have
moved without its hooks having run.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio.abc import Process

from havre.base.errors import ExhaustedError, NotFoundError, UnavailableError
from havre.drivers.git import repository

HEAD_LIMIT = 65536
PUSH_S = 1800.0
SETTLE_S = 60.0
DRAIN_S, DRAIN_BYTES = 60.0, 4 * 1024**3
HELD_BYTES = 1024**2
PLACES = frozenset({"/info/refs", "/git-upload-pack", "/git-receive-pack"})
_PROTOCOL = re.compile(r"[A-Za-z0-9=:._-]{1,256}")


@dataclass(frozen=True)
class GitResponse:
    """`body` is read to its end or closed (`contextlib.aclosing`) by the task that asked for it; git runs until then.

    No cancel scope may end between asking and that: one that stands around both is right.
    """

    status: int
    headers: list[tuple[str, str]]
    body: AsyncGenerator[bytes, None]


@dataclass
class _Fed:
    """How far the request's body has come. `whole`: git has all of it. `done`: nothing more of it is read."""

    size_bytes: int = 0
    whole: bool = False
    done: anyio.Event = field(default_factory=anyio.Event)
    refused: ExhaustedError | None = None
    errors: list[Exception] = field(default_factory=list)
    waiting: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def end(self) -> None:
        self.done.set()
        self.waiting.cancel()


async def http_backend(
    *,
    git_dir: Path,
    method: str,
    path_info: str,
    query: str,
    content_type: str,
    content_encoding: str,
    git_protocol: str,
    content_length: int | None,
    user: str,
    environment: Mapping[str, str],
    body: AsyncIterator[bytes],
    settings: Mapping[str, str] | None = None,
    limit_bytes: int | None = None,
    limit_s: float = PUSH_S,
) -> GitResponse:
    """Ask git about one request on the repository `git_dir`. Returns as soon as git has said its head.

    path_info: what follows the repository in the URL. environment: what the repository's hooks see besides.
    limit_bytes: of the request's body. limit_s: of the whole exchange.
    Raises NotFoundError for a path that is not of the smart protocol, ExhaustedError past `limit_bytes` (also while
    the body is read), UnavailableError when git does not answer or not in time.
    """
    if path_info not in PLACES:
        raise NotFoundError("there is nothing here but git's smart protocol", path=path_info)
    if limit_bytes is not None and content_length is not None and content_length > limit_bytes:
        raise _too_large(limit_bytes)
    cgi = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROJECT_ROOT": str(git_dir.parent),
        "PATH_INFO": f"/{git_dir.name}{path_info}",
        "REQUEST_METHOD": method,
        "QUERY_STRING": query,
        "CONTENT_TYPE": content_type,
        "REMOTE_USER": user,
        "REMOTE_ADDR": "127.0.0.1",
    }
    if content_encoding:
        cgi["HTTP_CONTENT_ENCODING"] = content_encoding
    if content_length is not None:
        cgi["CONTENT_LENGTH"] = str(content_length)
    if _PROTOCOL.fullmatch(git_protocol):
        cgi["GIT_PROTOCOL"] = git_protocol
    told = repository.environment({**cgi, **environment}, settings=settings)
    keep = path_info == "/git-receive-pack"
    exchange = _exchange(told, body, limit_bytes=limit_bytes, limit_s=limit_s, keep_whole=keep)
    try:
        status, headers = _parsed((await anext(exchange)).decode("latin-1"))
    except BaseException:
        await exchange.aclose()
        raise
    return GitResponse(status, headers, exchange)


async def _exchange(
    told: Mapping[str, str], body: AsyncIterator[bytes], *, limit_bytes: int | None, limit_s: float, keep_whole: bool
) -> AsyncGenerator[bytes, None]:
    """git's answer: its head first, then its body as it comes."""
    ends_at, fed = anyio.current_time() + limit_s, _Fed()
    process = await _open(told)
    head: bytes | None = None
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_feed, process, body, fed, limit_bytes)
            try:
                head, rest = await _head(process, ends_at)
                if head is not None:
                    held = await _held(process, fed, ends_at)
                    yield head
                    for part in (rest, *held):
                        yield part
                    while (more := await _receive(process, ends_at)) is not None:
                        yield more
            except (UnavailableError, GeneratorExit) as error:  # the latter: the reader has closed the answer
                if isinstance(error, UnavailableError):
                    fed.errors.append(error)
            group.cancel_scope.cancel()
        if fed.refused or fed.errors or head is None:
            raise fed.refused or (fed.errors or [UnavailableError("git did not answer", program="git")])[0]
    finally:
        await _end(process, settle=keep_whole and fed.whole)


async def _open(told: Mapping[str, str]) -> Process:
    try:
        return await anyio.open_process(
            ["git", "http-backend"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=told,
            cwd="/",
            start_new_session=True,
        )
    except FileNotFoundError as cause:
        raise UnavailableError("git is not installed on this machine") from cause


async def _feed(process: Process, body: AsyncIterator[bytes], fed: _Fed, limit_bytes: int | None) -> None:
    """Hand the request's body to git. A body that breaks off ends git: half a push must not look like a whole one.

    What comes after git has refused it is read and dropped: a client that still sends does not hear the reason.
    """
    try:
        if not await _hand_over(process, body, fed, limit_bytes):
            async for part in body:
                fed.size_bytes += len(part)
                if fed.size_bytes > DRAIN_BYTES:
                    break
    except Exception as error:  # noqa: BLE001 - a door: whatever the request's body raises is raised to its reader
        fed.errors.append(error)
        _kill(process)
    finally:
        fed.end()


async def _hand_over(process: Process, body: AsyncIterator[bytes], fed: _Fed, limit_bytes: int | None) -> bool:
    """False when git has read what it wanted before the end of the body."""
    assert process.stdin is not None
    async for part in body:
        fed.size_bytes += len(part)
        if limit_bytes is not None and fed.size_bytes > limit_bytes:
            fed.refused = _too_large(limit_bytes)
            _kill(process)
            return True
        try:
            await process.stdin.send(part)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return False
    fed.whole = True
    await process.stdin.aclose()
    return True


async def _receive(process: Process, ends_at: float) -> bytes | None:
    """The next of what git says; None at its end."""
    assert process.stdout is not None
    with anyio.move_on_after(ends_at - anyio.current_time()):
        try:
            return await process.stdout.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            return None
    raise UnavailableError("git took too long", program="git")


async def _head(process: Process, ends_at: float) -> tuple[bytes | None, bytes]:
    """The head of git's answer and what has come of its body; no head when git ends without one."""
    said = b""
    while (part := await _receive(process, ends_at)) is not None and len(said) <= HEAD_LIMIT:
        said += part
        head, found, rest = said.partition(b"\r\n\r\n")
        if found:
            return head, rest
    return None, b""


async def _held(process: Process, fed: _Fed, ends_at: float) -> list[bytes]:
    """What git says while the request's body still comes: the answer begins when that has been read to its end.

    A server of Go (the edge), when an answer to HTTP/1.1 begins earlier, reads 256 KiB of the body and drops them.
    """
    held: list[bytes] = []
    with fed.waiting:
        if fed.done.is_set():
            return held
        while sum(map(len, held)) < HELD_BYTES:
            part = await _receive(process, ends_at)
            if part is None:
                with anyio.move_on_after(DRAIN_S):
                    await fed.done.wait()
                break
            held.append(part)
    return held


async def _end(process: Process, *, settle: bool) -> None:
    """Git and all that it started are gone when this returns. settle: it may first finish what it does."""
    with anyio.CancelScope(shield=True):
        if settle and process.returncode is None:
            with contextlib.suppress(UnavailableError):
                while await _receive(process, anyio.current_time() + SETTLE_S) is not None:
                    continue
            with anyio.move_on_after(SETTLE_S):
                await process.wait()
        _kill(process)
        with anyio.move_on_after(5):
            await process.aclose()


def _kill(process: Process) -> None:
    if process.returncode is None:  # not yet waited for: its number is still its own, and its group's
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _too_large(limit_bytes: int) -> ExhaustedError:
    return ExhaustedError(f"a push may have {limit_bytes} bytes at most")


def _parsed(raw: str) -> tuple[int, list[tuple[str, str]]]:
    """Status and headers of a CGI answer."""
    status, headers = 200, []
    for line in raw.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers.append((name, value.strip()))
    return status, headers
