"""Repositories of apps: git over HTTP, and what its hooks ask.

A push is known by a nonce that only this process and the hooks of that one `git http-backend` have. `pre-receive`
refuses what is not a deploy; `post-receive` has the deployment's row written before the push is answered. A branch
that moved without its row (the hook was cut off) is deployed after all: at the end of that push, else at the start.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import structlog
from anyio.abc import SocketStream

from havre import governance
from havre.apps import intents as asked
from havre.apps import tables
from havre.apps.intents import Intents
from havre.apps.model import App
from havre.base.errors import HavreError, NotFoundError
from havre.drivers import git
from havre.drivers.git import hooks
from havre.governance import Actor, Right
from havre.kernel.kernel import Kernel
from havre.kernel.store import Tx

log = structlog.get_logger()
NO_COMMIT = "0" * 40
REQUEST_LIMIT = 1024**2
MARGIN_BYTES = 16 * 1024**2  # git has refused a pack, with words, before a request is cut off
ASK_S = 30.0

Start = Callable[[int, list[tuple[str, str]]], Awaitable[None]]
Send = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True)
class Question:
    """What a hook says. updates: (old commit, new commit, ref)."""

    push: str
    updates: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Answer:
    """What the hook prints to the pusher, and whether git goes on."""

    ok: bool
    lines: tuple[str, ...] = ()


Decide = Callable[[Question], Awaitable[Answer]]


@dataclass
class Push:
    """A request on a repository that is under way. `moved`: the branch's new commit; `rowed`: its row is written;
    `refused`: why it was not taken."""

    actor: Actor
    app: App
    moved: str | None = None
    rowed: bool = False
    refused: str = ""


async def serve_hooks(path: Path, on_pre: Decide, on_post: Decide) -> None:
    """Answer the hooks that ask at the unix socket `path`, until cancelled."""
    path.unlink(missing_ok=True)
    decide = {"pre-receive": on_pre, "post-receive": on_post}

    async def hear(stream: SocketStream) -> None:
        async with stream:
            try:
                answer = await _heard(stream, decide)
            except HavreError as error:
                answer = Answer(False, (error.message,))
            with anyio.move_on_after(5), contextlib.suppress(anyio.BrokenResourceError):
                await stream.send(json.dumps({"ok": answer.ok, "lines": answer.lines}).encode() + b"\n")

    async with await anyio.create_unix_listener(str(path), mode=0o600) as listener:
        await listener.serve(hear)


async def _heard(stream: SocketStream, decide: Mapping[str, Decide]) -> Answer:
    said = b""
    try:
        with anyio.fail_after(ASK_S):
            while not said.endswith(b"\n"):
                said += await stream.receive()
                if len(said) > REQUEST_LIMIT:
                    return Answer(False, ("too many branches in one push",))
        question = json.loads(said)
        updates = tuple((str(old), str(new), str(ref)) for old, new, ref in question["updates"])
        return await decide[question["hook"]](Question(str(question["push"]), updates))
    except (ValueError, KeyError, TypeError, TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError):
        return Answer(False, ("this push was not understood",))


def decide_push(updates: Sequence[tuple[str, str, str]], *, branch: str, size_bytes: int, limit_bytes: int) -> Answer:
    """Whether a push is a deploy: of the one branch, which it does not delete, in a repository within its quota.

    branch: what the app calls it; `master` is its name besides, for the stock command line knows no other.
    """
    own = f"refs/heads/{branch}"
    for _, new, ref in updates:
        if ref not in (git.BRANCH, own):
            return Answer(False, (f"only {own} is deployed, not {ref}: git push <remote> HEAD:{own}",))
        if new == NO_COMMIT:
            return Answer(False, (f"{ref} cannot be deleted: it is what the app runs (clever stop stops it)",))
    if size_bytes > limit_bytes:
        size, limit = f"{size_bytes / 1024**2:.0f} MiB", f"{limit_bytes / 1024**2:.0f} MiB"
        return Answer(False, (f"the repository would take {size}, more than the {limit} allowed",))
    return Answer(True)


def _too_large(limit_bytes: int) -> str:
    return f"this push is larger than the {limit_bytes / 1024**2:.0f} MiB that a repository may take"


class Repositories:
    """The repositories of one installation."""

    def __init__(self, kernel: Kernel, intents: Intents) -> None:
        self._kernel = kernel
        self._intents = intents
        self._pushes: dict[str, Push] = {}

    @property
    def _hooks(self) -> Path:
        return self._kernel.paths.data / "hooks"

    @property
    def _socket(self) -> Path:
        return self._kernel.paths.run / "hooks.sock"

    def git_dir(self, app_id: str) -> Path:
        return self._kernel.paths.git / f"{app_id}.git"

    async def find(self, actor: Actor, app_id: str, right: Right) -> App:
        """The app whose repository is asked for. Raises NotFoundError, DeniedError."""
        return await self._kernel.store.read(lambda conn: asked.find(conn, actor, None, app_id, right))

    async def commits(self, app_id: str, *, limit: int) -> list[git.Commit]:
        """What can be deployed, newest first. The caller has authorised."""
        return await git.commits(self.git_dir(app_id), limit=limit)

    async def answer(
        self,
        *,
        actor: Actor,
        app: App,
        request: Mapping[str, str],
        body: AsyncIterator[bytes],
        start: Start,
        send: Send,
    ) -> None:
        """Answer one request of git's smart HTTP protocol on the app's repository: `start` once, then `send`.

        request: its CGI variables, with PATH_INFO what follows the repository in the URL.
        Raises NotFoundError, ExhaustedError, UnavailableError; before `start` unless the body breaks off.
        """
        git_dir, limit = self.git_dir(app.id), self._kernel.config.build.repository_bytes
        await git.init(git_dir)
        await git.set_branch(git_dir, app.branch)
        await anyio.to_thread.run_sync(hooks.write_hooks, self._hooks)
        nonce = secrets.token_hex(16)
        push = self._pushes[nonce] = Push(actor, app)
        length = request.get("CONTENT_LENGTH", "")
        try:
            response = await git.http_backend(
                git_dir=git_dir,
                method=request["REQUEST_METHOD"],
                path_info=request["PATH_INFO"],
                query=request.get("QUERY_STRING", ""),
                content_type=request.get("CONTENT_TYPE", ""),
                content_encoding=request.get("HTTP_CONTENT_ENCODING", ""),
                git_protocol=request.get("HTTP_GIT_PROTOCOL") or request.get("GIT_PROTOCOL", ""),
                content_length=int(length) if length.isdecimal() else None,
                user=request.get("REMOTE_USER") or actor.user_id,
                environment=hooks.environment(push=nonce, socket=self._socket),
                body=body,
                settings=hooks.settings(self._hooks) | {"receive.maxInputSize": str(limit)},
                limit_bytes=limit + MARGIN_BYTES,
            )
            report = git.Report(lambda too_large: _too_large(limit) if too_large else push.refused)
            is_push = request["PATH_INFO"] == "/git-receive-pack"
            async with contextlib.aclosing(response.body) as parts:
                await start(response.status, response.headers)
                async for part in parts:
                    await send(report.feed(part) if is_push else part)
                await send(report.end())
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(ASK_S):
                await self._settle(push)
            del self._pushes[nonce]

    async def serve_hooks(self) -> None:
        """Answer hooks until cancelled."""
        await serve_hooks(self._socket, self._before, self._after)

    def _known(self, question: Question) -> Push:
        try:
            return self._pushes[question.push]
        except KeyError:
            raise NotFoundError("Havre does not know this push") from None

    async def _before(self, question: Question) -> Answer:
        push = self._known(question)
        try:
            answer = await self._decided(push, question)
        except HavreError as error:
            answer = Answer(False, (error.message,))
        if answer.ok:
            push.moved = next((new for _, new, _ in question.updates), None)
        else:
            push.refused = " ".join(answer.lines)
        return answer

    async def _decided(self, push: Push, question: Question) -> Answer:
        await self.find(push.actor, push.app.id, Right.WRITE)  # before the branch moves: afterwards it is too late
        size = await anyio.to_thread.run_sync(git.size_bytes, self.git_dir(push.app.id))
        limit = self._kernel.config.build.repository_bytes
        branch = push.app.branch
        return decide_push(question.updates, branch=branch, size_bytes=size, limit_bytes=limit)

    async def _after(self, question: Question) -> Answer:
        push = self._known(question)
        if not question.updates:
            return Answer(True)
        commit = question.updates[0][1]  # all that were let through are the one branch
        made = await self._kernel.store.write(
            lambda tx: self._intents.push_received(tx, push.actor, push.app.id, commit)
        )
        push.rowed = True
        log.info("apps.push.received", app=push.app.id, deployment=made.id, commit=commit)
        return Answer(True, (f"Havre deploys {commit[:8]} as {made.id}",))

    async def _settle(self, push: Push) -> None:
        """A push that moved the branch and whose row is missing: write it now."""
        if push.moved is None or push.rowed:
            return
        if await git.head(self.git_dir(push.app.id)) != push.moved:
            return  # git refused it after all, or a later push moved on
        commit = push.moved
        try:
            await self._kernel.store.write(lambda tx: self._intents.push_received(tx, push.actor, push.app.id, commit))
        except HavreError as error:
            log.warning("apps.push.unsettled", app=push.app.id, commit=commit, error=error.message)
            return
        log.info("apps.push.recovered", app=push.app.id, commit=commit)

    async def recover_pushes(self) -> int:
        """A push that was cut off moved the branch without a deployment: deploy it now. At start only."""
        apps = await self._kernel.store.read(lambda conn: tables.apps(conn))
        found = 0
        for app in apps:
            if app.deleted or not self.git_dir(app.id).exists():
                continue
            head = await git.head(self.git_dir(app.id))
            rows = await self._kernel.store.read(lambda conn, app=app: tables.deployments(conn, app.id))  # type: ignore[misc]
            if head is not None and not any(each.commit_id == head for each in rows):
                await self._kernel.store.write(lambda tx, app=app, head=head: self._deploy_again(tx, app, head))  # type: ignore[misc]
                log.info("apps.push.recovered", app=app.id, commit=head)
                found += 1
        return found

    def _deploy_again(self, tx: Tx, app: App, head: str) -> None:
        """In the name of the organisation's first member: who pushed is not known any more."""
        first: Any = governance.members_of(tx.conn, app.owner_id)[0]
        self._intents.push_received(tx, Actor(first.id, first.name, first.email), app.id, head)
