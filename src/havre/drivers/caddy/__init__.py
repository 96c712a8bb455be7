"""The driver of Caddy, the program at the front door.

`Caddy.ensure` brings one Caddy with the static configuration to life, or adopts the one that lives: it is started in a
session of its own and outlives the control plane. A configuration that differs is loaded over the admin socket; an
equal one is left untouched. `stop` ends it. Invariant: at most one Caddy per installation, and never a signal to a
process that is not it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread
import httpx

from havre.base.errors import InvalidError, UnavailableError
from havre.drivers.caddy import process
from havre.drivers.caddy.process import Identity, Record
from havre.drivers.caddy.static import PREFIX_DEPTH, EdgeSettings, route_name, static_config

__all__ = ["PREFIX_DEPTH", "Caddy", "EdgeSettings", "Identity", "root_file", "route_name", "static_config", "stop"]


class Waits(Protocol):
    """The part of a clock that a driver needs."""

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True)
class Caddy:
    """Caddy of one installation, whose files are in `folder` (`<data>/edge`)."""

    folder: Path
    settings: EdgeSettings
    clock: Waits
    start_limit_s: float = 30.0

    @property
    def record_file(self) -> Path:
        return self.folder / "caddy.json"

    async def ensure(self) -> bool:
        """Have Caddy run with our configuration. Returns whether anything had to be done.

        Raises UnavailableError when it does not start (its last words are in the facts), InvalidError when it
        refuses the configuration; the old configuration is then still at work.
        """
        process.collect()
        config = json.dumps(static_config(self.settings), sort_keys=True)
        wanted = hashlib.sha256(config.encode()).hexdigest()
        record = self._found()
        if record is not None and record.config_hash and not Path(record.admin_socket).exists():
            # its directory of sockets was taken away: nobody can ever speak to it again
            await anyio.to_thread.run_sync(functools.partial(process.end, record.identity, grace_s=2))
            record = None
        if record is None:
            record = self._start(config)
            await self._wait_at_work(record, ends_it=True)
        elif record.config_hash != wanted:
            await self._wait_at_work(record, ends_it=False)  # it may be starting: whoever started it was killed
            await self._load(config, Path(record.admin_socket))
        else:
            return False
        await self._wait_certificates()
        self._remember(record.identity, wanted)
        return True

    def running(self) -> Identity | None:
        """The Caddy that lives, if one does."""
        record = self._found()
        return record.identity if record else None

    async def wait_ended(self) -> None:
        """Return when the Caddy that runs now has ended; at once when none does."""
        found = self.running()
        if found is None:
            return
        with process.held(found) as fd:
            if fd is not None:
                await anyio.wait_readable(fd)
        process.collect()

    async def metrics(self) -> str:
        """Caddy's own figures, in Prometheus' text form."""
        async with _admin(self.settings.admin_socket) as client:
            return (await _ask(client, "GET", "/metrics")).text

    # inside

    def _found(self) -> Record | None:
        record = process.read_record(self.record_file)
        if record and process.is_alive(record.identity):
            return record
        listener = process.listener_of(self.settings.admin_socket)
        return Record(listener, "", str(self.settings.admin_socket)) if listener else None

    def _remember(self, identity: Identity, config_hash: str) -> Record:
        record = Record(identity, config_hash, str(self.settings.admin_socket))
        process.write_record(self.record_file, record)
        return record

    def _start(self, config: str) -> Record:
        storage = self.settings.storage
        for each in (self.folder, storage, self.settings.access_log.parent, self.settings.caddy_log.parent):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.settings.admin_socket.unlink(missing_ok=True)
        file = self.folder / "config.json"
        process.write_whole(file, config)
        self._output.unlink(missing_ok=True)
        command = [str(process.program()), "run", "--config", str(file)]
        identity = process.spawn(command, environment=self._environment(), cwd=self.folder, output=self._output)
        return self._remember(identity, "")  # a hash only when it is known to work

    @property
    def _output(self) -> Path:
        return self.folder / "caddy.out"

    async def _wait_at_work(self, record: Record, *, ends_it: bool) -> None:
        """Wait until that Caddy serves.

        ends_it: whether it is ended when it does not; one that has served before is left alone.
        Raises UnavailableError with its last words.
        """
        identity, admin_socket = record.identity, Path(record.admin_socket)
        with anyio.move_on_after(self.start_limit_s):
            while process.is_alive(identity):
                if process.listener_of(admin_socket) == identity and await _is_at_work(admin_socket):
                    return
                await self.clock.sleep(0.02)
        words = process.tail(self._output) or process.tail(self.settings.caddy_log)
        if ends_it:
            await anyio.to_thread.run_sync(lambda: process.end(identity, grace_s=1))
            self.record_file.unlink(missing_ok=True)
        raise UnavailableError(_why(words), program="caddy", output=words)

    async def _wait_certificates(self) -> None:
        """Caddy makes its own names' certificates after it has taken a configuration: wait, within a limit.

        A limit that passes is no error: what is missing is made later, and the proxy serves the rest.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        settings = self.settings
        host = settings.bind if settings.bind not in ("", "0.0.0.0", "::") else "127.0.0.1"
        with anyio.move_on_after(10):
            for name in ("localhost", f"api.{settings.base_domain}", *settings.own_hosts):
                while not await _has_certificate(host, settings.https_port, name, context):
                    await self.clock.sleep(0.02)

    async def _load(self, config: str, admin_socket: Path) -> None:
        async with _admin(admin_socket) as client:
            answer = await _ask(client, "POST", "/load", config.encode())
        if answer.status_code != 200:
            raise InvalidError("Caddy refused its configuration", program="caddy", output=answer.text[-500:])
        process.write_whole(self.folder / "config.json", config)

    def _environment(self) -> dict[str, str]:
        """Nothing of the host's: proxies, telemetry and certificate settings would change what Caddy does."""
        home = str(self.folder)
        return {
            "HOME": home,
            "XDG_DATA_HOME": str(self.folder / "xdg-data"),
            "XDG_CONFIG_HOME": str(self.folder / "xdg-config"),
            "PATH": "/usr/bin:/bin",
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_PROPAGATORS": "tracecontext",
        }


def _admin(socket: Path) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=str(socket))
    return httpx.AsyncClient(transport=transport, base_url="http://caddy-admin", timeout=20, trust_env=False)


async def _ask(client: httpx.AsyncClient, method: str, path: str, content: bytes | None = None) -> httpx.Response:
    headers = {"content-type": "application/json"} if content is not None else {}
    try:
        return await client.request(method, path, content=content, headers=headers)
    except httpx.TransportError as cause:
        raise UnavailableError("Caddy's admin socket did not answer", program="caddy", path=path) from cause


async def _is_at_work(admin_socket: Path) -> bool:
    """The admin socket opens before the listeners do; it tells of a configuration once that is at work."""
    try:
        async with _admin(admin_socket) as client:
            answer = await _ask(client, "GET", "/config/apps/http/http_port")
    except UnavailableError:
        return False
    return answer.status_code == 200 and answer.text.strip() != "null"


async def _has_certificate(host: str, port: int, name: str, context: ssl.SSLContext) -> bool:
    try:
        stream = await anyio.connect_tcp(host, port, tls=True, ssl_context=context, tls_hostname=name)
    except (OSError, ssl.SSLError, anyio.EndOfStream, anyio.BrokenResourceError):
        return False
    await anyio.aclose_forcefully(stream)
    return True


def root_file(storage: Path) -> Path:
    """The certificate of the internal CA's root; Caddy makes it at its first start."""
    return storage / "pki" / "authorities" / "local" / "root.crt"


async def stop(folder: Path, *, grace_s: float = 5.0) -> None:
    """End the Caddy whose files are in `folder`: requests under way get `grace_s`. Idempotent."""
    record = process.read_record(folder / "caddy.json")
    if record is None:
        return
    admin = Path(record.admin_socket)
    found = record.identity if process.is_alive(record.identity) else process.listener_of(admin)
    if found is not None:
        await anyio.to_thread.run_sync(lambda: process.end(found, grace_s=grace_s))
    admin.unlink(missing_ok=True)
    (folder / "caddy.json").unlink(missing_ok=True)


def _why(words: str) -> str:
    """The one line a person needs when Caddy does not start."""
    for line in reversed(words.splitlines()):
        if "address already in use" in line or "permission denied" in line:
            text = json.loads(line).get("error", line) if line.startswith("{") else line
            return (
                f"the edge cannot listen: {text.split('listening on ')[-1]} (settings edge.http_port, edge.https_port)"
            )
    return "Caddy did not start"
