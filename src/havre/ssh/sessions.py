"""What somebody who came by SSH may do: known by a key, a shell in one instance of their own.

Loaded when the first visitor comes (see `gateway`): the SSH library is 6 MB that most hours of most platforms need not.
"""

from __future__ import annotations

import socket
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import asyncssh
import structlog

from havre import governance
from havre.apps import views
from havre.base.errors import DeniedError, HavreError
from havre.base.ids import UnitId
from havre.drivers.disk.whole import write_whole
from havre.governance import Actor, Right
from havre.kernel.kernel import Kernel
from havre.kernel.store import Tx
from havre.kernel.units import Shell, Terminal
from havre.ssh.relay import relay

log = structlog.get_logger()
MOST_SESSIONS = 100
LOGIN_S = 30
ALIVE_S = 30
REFUSED, BUSY = 254, 253


class Sessions:
    """The sessions of everybody. `open`: how many there are."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.open = 0

    async def serve(self, listening: list[socket.socket]) -> None:
        """Answer at sockets that listen already, until cancelled."""
        key = await anyio.to_thread.run_sync(_host_key, self._kernel.paths.data / "ssh_host_ed25519")
        doors = [await self._answer(each, key) for each in listening]
        try:
            await anyio.sleep_forever()
        finally:
            for door in doors:
                door.close()

    async def _answer(self, listening: socket.socket, key: asyncssh.SSHKey) -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            sock=listening,
            server_factory=partial(_Server, self._kernel),
            server_host_keys=[key],
            process_factory=self._session,
            encoding=None,
            login_timeout=LOGIN_S,
            keepalive_interval=ALIVE_S,
            allow_scp=False,
            agent_forwarding=False,
            x11_forwarding=False,
            server_version="Havre",
            line_editor=False,
        )

    async def _session(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """One session: check, open, relay, end with the command's exit code."""
        try:
            code = await self._serve(process)
        except HavreError as error:
            process.stderr.write(f"{error.message}\r\n".encode())
            code = REFUSED
        except Exception as error:
            log.error("ssh.session.broke", exc_info=error)
            code = REFUSED
        process.exit(code)

    async def _serve(self, process: asyncssh.SSHServerProcess[bytes]) -> int:
        actor: Actor = process.channel.get_connection().get_extra_info("havre.actor")
        if self.open >= MOST_SESSIONS:
            process.stderr.write(b"too many sessions at this gateway; try later\r\n")
            return BUSY
        self.open += 1
        try:
            shell = await self._open(process, actor)
            try:
                return await relay(process, shell)
            finally:
                await shell.close()
        finally:
            self.open -= 1

    async def _open(self, process: asyncssh.SSHServerProcess[bytes], actor: Actor) -> Shell:
        wanted = (process.command or "").strip()
        source = str((process.get_extra_info("peername") or ("",))[0])

        def check(tx: Tx) -> None:
            app, instance = views.app_of_instance(tx.conn, actor, wanted, Right.WRITE)
            facts = {"owner_id": app.owner_id, "actor_id": actor.user_id, "action": "ssh.open"}
            governance.insert_audit(tx, **facts, subject=f"{app.id} {instance.id}", source=source[:64], result="ok")

        if not wanted:
            raise DeniedError("name an instance (clever ssh does)")
        await self._kernel.store.write(check)
        size = process.get_terminal_size()
        terminal = process.get_terminal_type()
        sits = Terminal(_term(terminal), size[1] or 24, size[0] or 80) if terminal else None
        return await self._kernel.units.open_shell(UnitId(wanted), terminal=sits)


def _host_key(file: Path) -> asyncssh.SSHKey:
    """Made once: clients remember it."""
    if not file.exists():
        made = asyncssh.generate_private_key("ssh-ed25519").export_private_key()
        write_whole(file, made, mode=0o600, sync=True)
    return asyncssh.read_private_key(file)


def _term(name: str) -> str:
    kept = "".join(each for each in name if each.isalnum() or each in "-+._")
    return kept[:40] or "xterm"


class _Server(asyncssh.SSHServer):
    """One connection: public keys only, no forwarding of anything."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._connection: Any = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return False

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        fingerprint = key.get_fingerprint()
        try:
            actor = await self._kernel.store.read(lambda conn: governance.authenticate_key(conn, fingerprint))
        except DeniedError:
            return False
        self._connection.set_extra_info(**{"havre.actor": actor})
        return True
