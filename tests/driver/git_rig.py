"""A repository behind a real HTTP server on the loopback, and the real `git` as its customer."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import uvicorn

from havre.base.errors import HavreError
from havre.drivers import git
from havre.drivers.git import hooks

Decide = Callable[[dict[str, Any]], Awaitable[tuple[bool, list[str]]]]


async def run(folder: Path, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A developer's git, with nobody's configuration."""
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    who = ["-c", "user.name=Dev", "-c", "user.email=dev@example.test", "-c", "init.defaultBranch=master"]
    with anyio.fail_after(60):
        done = await anyio.run_process(["git", *who, *args], cwd=folder, env=env, check=False)
    text = subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
    assert not check or text.returncode == 0, text.stderr
    return text


async def new_clone(folder: Path, files: dict[str, str | bytes]) -> str:
    """A repository with one commit of `files`; its id."""
    folder.mkdir(parents=True, exist_ok=True)
    await run(folder, "init", "-q", ".")
    return await commit(folder, files)


async def commit(folder: Path, files: dict[str, str | bytes], message: str = "change") -> str:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    await run(folder, "add", "-A")
    await run(folder, "commit", "-q", "--allow-empty", "-m", message)
    return (await run(folder, "rev-parse", "HEAD")).stdout.strip()


@dataclass
class GitRig:
    """`asked` is what the hooks said; `decide` answers them; `requests` is what came over HTTP."""

    base: Path
    asked: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    limit_bytes: int | None = None
    port: int = 0
    answering: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    @property
    def git_dir(self) -> Path:
        return self.base / "git" / "app.git"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/app.git"

    async def decide(self, question: dict[str, Any]) -> tuple[bool, list[str]]:
        return True, [f"heard {question['hook']}"]

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request; `answering.cancel()` is what a door does when its client has gone away."""
        with anyio.CancelScope() as self.answering:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.requests.append((scope["method"], scope["path"], headers))

        async def body() -> AsyncIterator[bytes]:
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ConnectionResetError("the client has gone away")
                yield message.get("body", b"")
                more = message.get("more_body", False)

        length = headers.get("content-length")
        environment = hooks.environment(push="nonce", socket=self.base / "h.sock")
        try:
            response = await git.http_backend(
                git_dir=self.git_dir,
                method=scope["method"],
                path_info=scope["path"].removeprefix("/app.git"),
                query=scope["query_string"].decode(),
                content_type=headers.get("content-type", ""),
                content_encoding=headers.get("content-encoding", ""),
                git_protocol=headers.get("git-protocol", ""),
                content_length=int(length) if length else None,
                user="dev",
                environment=environment,
                body=body(),
                settings=hooks.settings(self.base / "hooks"),
                limit_bytes=self.limit_bytes,
            )
            async with aclosing(response.body) as parts:
                raw = [(name.encode(), value.encode()) for name, value in response.headers]
                await send({"type": "http.response.start", "status": response.status, "headers": raw})
                async for part in parts:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except (HavreError, OSError) as error:
            self.errors.append(error)
            with contextlib.suppress(RuntimeError):
                await send({"type": "http.response.start", "status": 500, "headers": []})
                await send({"type": "http.response.body", "body": b""})

    async def _hear(self, stream: anyio.abc.SocketStream) -> None:
        async with stream:
            said = b""
            while not said.endswith(b"\n"):
                said += await stream.receive()
            question = json.loads(said)
            self.asked.append(question)
            ok, lines = await self.decide(question)
            await stream.send(json.dumps({"ok": ok, "lines": lines}).encode() + b"\n")


@asynccontextmanager
async def running(base: Path) -> AsyncIterator[GitRig]:
    """The rig with an empty repository, its server and its hooks' socket."""
    rig = GitRig(base)
    await git.init(rig.git_dir)
    hooks.write_hooks(base / "hooks")
    listening = socket.create_server(("127.0.0.1", 0))
    rig.port = listening.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(rig.app, log_config=None, lifespan="off", ws="none", interface="asgi3"))
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    async with await anyio.create_unix_listener(str(base / "h.sock")) as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, rig._hear)
        group.start_soon(server.serve, [listening])
        try:
            with anyio.fail_after(20):
                while not server.started:
                    await anyio.sleep(0.01)
            yield rig
        finally:
            server.should_exit = True
            with anyio.CancelScope(shield=True), anyio.move_on_after(10):
                await server.shutdown() if server.started else None
            group.cancel_scope.cancel()
