"""git's smart HTTP protocol by `git http-backend` (git-http-backend(1), RFC 3875), streamed both ways."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import anyio
from anyio.abc import Process

from havre.base.errors import UnavailableError
from havre.drivers.git.repository import environment as clean_environment

HEAD_LIMIT = 65536
PUSH_S = 1800

Start = Callable[[int, list[tuple[str, str]]], Awaitable[None]]
Send = Callable[[bytes], Awaitable[None]]


async def http_backend(
    *,
    git_dir: Path,
    request: Mapping[str, str],
    hooks: Mapping[str, str],
    body: AsyncIterator[bytes],
    start: Start,
    send: Send,
) -> None:
    """Answer one request on the repository `git_dir`: `start` once with status and headers, then `send`.

    request: CGI variables of it (REQUEST_METHOD, QUERY_STRING, CONTENT_TYPE, …) with PATH_INFO what follows the
    repository in the URL. hooks: what the repository's hooks see besides.
    Raises UnavailableError when git does not answer; `start` has not been called then.
    """
    cgi = {"GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "GIT_HTTP_EXPORT_ALL": "1"}
    cgi |= dict(request) | {"GIT_PROJECT_ROOT": str(git_dir.parent)}
    cgi["PATH_INFO"] = f"/{git_dir.name}{request['PATH_INFO']}"
    process = await anyio.open_process(
        ["git", "http-backend"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=clean_environment({**cgi, **hooks}),
        cwd="/",
    )
    try:
        with anyio.fail_after(PUSH_S):
            async with anyio.create_task_group() as group:
                group.start_soon(_feed, process, body)
                await _answer(process, start, send)
                group.cancel_scope.cancel()
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        with anyio.CancelScope(shield=True), anyio.move_on_after(5):
            await process.aclose()


async def _feed(process: Process, body: AsyncIterator[bytes]) -> None:
    assert process.stdin is not None
    try:
        async for part in body:
            await process.stdin.send(part)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return  # git has read what it wanted
    await process.stdin.aclose()


async def _answer(process: Process, start: Start, send: Send) -> None:
    assert process.stdout is not None
    head, started = b"", False
    async for part in process.stdout:
        if started:
            await send(part)
            continue
        head += part
        raw, found, rest = head.partition(b"\r\n\r\n")
        if not found:
            if len(head) > HEAD_LIMIT:
                break
            continue
        started = True
        await start(*_parsed(raw.decode("latin-1")))
        if rest:
            await send(rest)
    if not started:
        raise UnavailableError("git did not answer")


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
