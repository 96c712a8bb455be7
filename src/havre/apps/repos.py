"""Repositories of apps: git over HTTP, and what its hooks ask.

A push is known by a nonce that only this process and the hooks of that one `git http-backend` have. `pre-receive`
refuses what is not a deploy; `post-receive` has the deployment's row written before the push is answered.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import structlog
from anyio.abc import SocketStream

from havre import governance
from havre.apps import tables
from havre.apps.intents import Intents
from havre.apps.model import App
from havre.base.errors import HavreError
from havre.drivers import git
from havre.drivers.git import hooks
from havre.drivers.git.backend import Send, Start
from havre.drivers.git.repository import BRANCH
from havre.governance import Actor, Right
from havre.kernel.kernel import Kernel

log = structlog.get_logger()
NO_COMMIT = "0" * 40
REQUEST_LIMIT = 65536


@dataclass(frozen=True)
class Push:
    actor: Actor
    app: App


class Repositories:
    """The repositories of one installation."""

    def __init__(self, kernel: Kernel, intents: Intents) -> None:
        self._kernel = kernel
        self._intents = intents
        self._pushes: dict[str, Push] = {}

    @property
    def _socket(self) -> Path:
        return self._kernel.paths.run / "hooks.sock"

    @property
    def _hooks(self) -> Path:
        return self._kernel.paths.data / "hooks"

    def git_dir(self, app_id: str) -> Path:
        return self._kernel.paths.git / f"{app_id}.git"

    async def find(self, actor: Actor, app_id: str, right: Right) -> App:
        """The app whose repository is asked for. Raises NotFoundError, DeniedError."""

        def look(conn: Any) -> App:
            from havre.apps.intents import find

            return find(conn, actor, None, app_id, right)

        return await self._kernel.store.read(look)

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
        """Answer one request of git's smart HTTP protocol on the app's repository."""
        await git.init(self.git_dir(app.id))
        await anyio.to_thread.run_sync(hooks.write_hooks, self._hooks)
        nonce = secrets.token_hex(16)
        self._pushes[nonce] = Push(actor, app)
        environment = hooks.environment(push=nonce, socket=self._socket)
        environment |= {"GIT_CONFIG_PARAMETERS": f"'core.hooksPath={self._hooks}'"}
        try:
            await git.http_backend(
                git_dir=self.git_dir(app.id), request=request, hooks=environment, body=body, start=start, send=send
            )
        finally:
            del self._pushes[nonce]

    async def serve_hooks(self) -> None:
        """Answer hooks until cancelled."""
        self._socket.unlink(missing_ok=True)
        listener = await anyio.create_unix_listener(str(self._socket), mode=0o600)
        async with listener:
            await listener.serve(self._hear)

    async def _hear(self, stream: SocketStream) -> None:
        async with stream:
            try:
                with anyio.fail_after(30):
                    said = b""
                    while not said.endswith(b"\n") and len(said) < REQUEST_LIMIT:
                        said += await stream.receive()
                ok, lines = await self._decide(json.loads(said))
            except HavreError as error:
                ok, lines = False, [error.message]
            except (ValueError, KeyError, TimeoutError, anyio.EndOfStream):
                ok, lines = False, ["this push was not understood"]
            with anyio.move_on_after(5):
                await stream.send(json.dumps({"ok": ok, "lines": lines}).encode() + b"\n")

    async def _decide(self, question: dict[str, Any]) -> tuple[bool, list[str]]:
        push = self._pushes.get(question["push"])
        if push is None:
            return False, ["Havre does not know this push"]
        updates = [tuple(each) for each in question["updates"]]
        if question["hook"] == "pre-receive":
            return await self._before(push, updates)
        moved = [new for _, new, ref in updates if ref == BRANCH]
        if moved:
            made = await self._kernel.store.write(
                lambda tx: self._intents.push_received(tx, push.actor, push.app.id, moved[0])
            )
            log.info("apps.push.received", app=push.app.id, deployment=made.id, commit=moved[0])
            return True, [f"Havre deploys {moved[0][:8]} as {made.id}"]
        return True, []

    async def _before(self, push: Push, updates: list[tuple[str, ...]]) -> tuple[bool, list[str]]:
        for _, new, ref in updates:
            if ref != BRANCH:
                return False, [f"only {BRANCH} is deployed, not {ref}: git push <remote> HEAD:{BRANCH}"]
            if new == NO_COMMIT:
                return False, [f"{BRANCH} cannot be deleted: it is what the app runs (clever stop stops it)"]
        limit = self._kernel.config.build.repository_bytes
        size = await anyio.to_thread.run_sync(git.size_bytes, self.git_dir(push.app.id))
        if size > limit:
            return False, [f"the repository would take {size} bytes, more than the {limit} allowed"]
        return True, []

    async def recover_pushes(self) -> int:
        """A push whose hook was cut off moved the branch without a deployment: deploy it now. At start only."""
        apps = await self._kernel.store.read(lambda conn: tables.apps(conn))
        found = 0
        for app in apps:
            head = await git.head(self.git_dir(app.id)) if self.git_dir(app.id).exists() and not app.deleted else None
            rows = await self._kernel.store.read(lambda conn, app=app: tables.deployments(conn, app.id))  # type: ignore[misc]
            if head is not None and not any(each.commit_id == head for each in rows):
                await self._deploy_again(app, head)
                found += 1
        return found

    async def _deploy_again(self, app: App, head: str) -> None:
        def work(tx: Any) -> None:
            members = governance.members_of(tx.conn, app.owner_id)
            first = members[0]
            actor = Actor(first.id, first.name, first.email)
            self._intents.push_received(tx, actor, app.id, head)

        await self._kernel.store.write(work)
        log.info("apps.push.recovered", app=app.id, commit=head)
