"""Units in bubblewrap sandboxes: starts, finds again, commands and ends them.

Looking at units is reading files (`records`); only a command talks to a monitor.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import marshal
import os
import shutil
import signal
import socket
import threading
from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import structlog
from anyio.abc import ByteStream

from havre.base.errors import BrokenError, ConflictError, NotFoundError, UnavailableError
from havre.base.ids import UnitId
from havre.drivers import cgroup, identity, wayout
from havre.drivers.bwrap import listeners, records, sandbox, seccomp, shell, strain
from havre.drivers.bwrap.model import Exit, Root, Unit, UnitSpec, Usage
from havre.drivers.bwrap.orders import Orders
from havre.drivers.bwrap.shell import Shell, Terminal
from havre.drivers.bwrap.spares import Network, Spares
from havre.drivers.bwrap.strain import Strain
from havre.drivers.wayout import veth

log = structlog.get_logger()
COMMAND_S = 10.0
START_S = 20.0
AT_ONCE = 8


_COMMANDS = {"listen": "listener", "handed": "handed"}


@dataclasses.dataclass(frozen=True)
class _Held:
    """The listening sockets that a unit shares with others."""

    listen: socket.socket | None
    handed: socket.socket | None


class Bubblewrap:
    """The engine of one installation. Several may look at the same directories; one starts units."""

    def __init__(
        self, *, units: Path, run: Path, now: Callable[[], int], network: IPv4Network, root: Root | None = None
    ) -> None:
        self._units = units
        self._run = run
        self._now = now
        self._root = root
        self._records = records.Records(units, run, now=now)
        self._listeners: dict[str, socket.socket] = {}
        self._listening = anyio.Lock()
        self._starts = anyio.CapacityLimiter(AT_ONCE)
        self._hierarchies = cgroup.probe()
        self._tag = "havre-" + hashlib.sha256(str(units).encode()).hexdigest()[:8]
        self._is_bounded = False
        self._seccomp = seccomp.program()
        self._orders = Orders(
            self._records,
            self._hierarchies,
            tag=self._tag,
            binary=sandbox.binary(),
            seccomp=self._seccomp or b"",
            proxy=self._proxy_socket,
        )
        self._network = network
        self._way_out: wayout.WayOut | None = None
        self._first = threading.Lock()  # several starts at once need what the first of them makes
        self._spares = Spares(units, lambda: veth.attach(network))

    # starting

    async def start(self, spec: UnitSpec) -> Unit:
        """Start `spec`, or find the unit of that id: then nothing is started, whatever its state.

        Raises UnavailableError with the monitor's words when the sandbox cannot be made.
        """
        if self._records.identity(spec.id) is not None or self._records.exit(spec.id) is not None:
            return await self._found(spec.id)
        held = _Held(*[await self.hold(path) if path is not None else None for path in (spec.listen, spec.handed)])
        await anyio.to_thread.run_sync(self._start, spec, held, limiter=self._starts)
        return await self._found(spec.id)

    async def _found(self, id: UnitId) -> Unit:
        unit = await self.get(id)
        if unit is None:
            raise BrokenError("a unit that was just started has no record", unit=id)
        return unit

    def _start(self, spec: UnitSpec, held: _Held) -> None:
        orders = self._prepare(spec)
        try:
            self._start_monitor(spec, orders, held, self._own_network(spec))
        finally:
            self._spares.refill_soon()

    def _prepare(self, spec: UnitSpec) -> dict[str, Any]:
        """Write down that the unit is to be, and return what its monitor is told."""
        if spec.users is not None and (os.getuid() != 0 or spec.uid is None):
            raise UnavailableError("a unit can have users of its own only under a platform that is root", unit=spec.id)
        root = self._root_of(spec)
        if not self._is_bounded:
            cgroup.bound(self._hierarchies, self._tag)
            self._is_bounded = True
        if spec.way_out and self.way_out().kind == "proxy":
            pid_file = self._units.parent / "proxy.pid"
            wayout.ensure_proxy(self._proxy_socket, pid_file, sandboxes=self._network)
        (self._run / "units").mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = self._records.folder(spec.id)
        (folder / "scratch").mkdir(mode=0o700, parents=True, exist_ok=True)
        record: dict[str, Any] = {
            "id": spec.id,
            "kind": spec.kind,
            "labels": dict(spec.labels),
            "started_at": self._now(),
            "port": spec.port,
            "memory_bytes": spec.limits.memory_bytes,
        }
        for name, path in (("listen", spec.listen), ("handed", spec.handed), ("log", spec.log)):
            record[name] = str(path) if path is not None else None
        if spec.door is not None:
            spec.door.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        records.write(folder / "spec.json", record)
        return self._orders.of(spec, root, self.way_out() if spec.way_out else None)

    def _root_of(self, spec: UnitSpec) -> Root:
        """What the unit sees as `/`. Raises UnavailableError when its stack is not there."""
        if self._root is not None:
            return self._root
        etc = self._units.parent / "root-etc"
        way_out = self.way_out()
        with self._first:
            sandbox.write_etc(etc, resolv=way_out.resolv_conf)
        if spec.image is not None:
            return sandbox.image_root(spec.image, etc)
        return sandbox.host_root(etc) if spec.tree is None else sandbox.stack_root(spec.tree, etc)

    def way_out(self) -> wayout.WayOut:
        """The way out that units get; opened at the first call."""
        with self._first:
            if self._way_out is None:
                self._way_out = wayout.probe()
                self.keep_way_out()
            return self._way_out

    def keep_way_out(self) -> None:
        """Put back what an operator's reload may have taken from the sandboxes' network."""
        if self._way_out is None or self._way_out.kind != "veth":
            return
        try:
            veth.ensure_rules(self._network)
        except UnavailableError as error:
            log.warning("kernel.way_out.failed", error=error.message, **{k: str(v) for k, v in error.facts.items()})
            self._way_out = wayout.by_proxy(error.message)

    @property
    def _proxy_socket(self) -> Path:
        return self._run / "proxy.sock"

    def _own_network(self, spec: UnitSpec) -> Network | None:
        """The network namespace of a unit with a way out of its own, when it is ours to make."""
        is_wanted = spec.way_out and spec.uid is not None and os.getuid() == 0
        return self._spares.network() if is_wanted and self.way_out().kind == "veth" else None

    def _start_monitor(self, spec: UnitSpec, orders: dict[str, Any], held: _Held, network: Network | None) -> None:
        folder = self._records.folder(spec.id)
        passed = {"listen_fd": held.listen, "handed_fd": held.handed, "netns_fd": network}
        descriptors = {name: each.fileno() for name, each in passed.items() if each is not None}
        monitor = self._spares.monitor()
        monitor.order(marshal.dumps(orders), descriptors, limit_s=START_S)
        try:
            records.keep(folder / "spec.json")  # the disk is waited for while the sandbox is made
        finally:
            said = monitor.answer()
        if b'"started"' not in said:
            log = folder / "monitor.log"
            words = log.read_text(errors="replace")[-500:] if log.exists() else said.decode(errors="replace")
            raise UnavailableError("the sandbox could not be started", unit=spec.id, monitor=words)

    # the sockets of apps

    async def hold(self, path: Path) -> socket.socket:
        """Listen at `path`: with the socket that we have, else with a living unit's, else with a new one.

        Whoever connects waits until a unit accepts; nobody is refused while we live.
        """
        async with self._listening:
            known = self._listeners.get(str(path))
            if known is not None and path.exists():
                return known
            found = await anyio.to_thread.run_sync(self._fetch_listener, path) if path.exists() else None
            self._listeners[str(path)] = found or listeners.listen(path)
            return self._listeners[str(path)]

    def _fetch_listener(self, path: Path) -> socket.socket | None:
        for id in self._records.ids():
            spec = self._records.spec(id)
            which = next((name for name in ("listen", "handed") if spec and spec.get(name) == str(path)), None)
            if which is None or not self._records.is_alive(id):
                continue
            if (found := listeners.fetch(self._records.control(id), _COMMANDS[which])) is not None:
                return found
        return None

    def waiting(self, path: Path) -> int:
        """How many connections wait at the app's socket for a unit that accepts."""
        known = self._listeners.get(str(path))
        return listeners.waiting(known) if known is not None else 0

    async def wait_called(self, path: Path) -> None:
        """Return when somebody waits at `path`, which is held for that."""
        held = await self.hold(path)
        with contextlib.suppress(anyio.ClosedResourceError):  # the app is gone
            await anyio.wait_readable(held)

    def close_listener(self, path: Path) -> None:
        """Forget an app's socket: no unit of it will come back."""
        known = self._listeners.pop(str(path), None)
        if known is not None:
            anyio.notify_closing(known)
            known.close()
        path.unlink(missing_ok=True)

    # seeing

    async def seen(self) -> tuple[Unit, ...]:
        """Every unit that has a record, dead or alive."""
        return await anyio.to_thread.run_sync(self._records.units)

    async def get(self, id: UnitId) -> Unit | None:
        return self._records.unit(id)

    async def usage(self, id: UnitId) -> Usage:
        """What the unit has used. A unit that is gone has used nothing that is known."""
        return Usage(*cgroup.usage(self._hierarchies, name=f"{self._tag}/{id}"))

    async def strain(self, id: UnitId) -> Strain:
        """Which of its bounds the unit has come up against. One that is gone strains nothing."""
        unit = await self.get(id)
        if unit is None or unit.pid is None or unit.state != "running":
            return Strain()
        refused = cgroup.forks_refused(self._hierarchies, name=f"{self._tag}/{id}")
        memory = (self._records.spec(id) or {}).get("memory_bytes") if "memory" in self._hierarchies.missing else None
        return await anyio.to_thread.run_sync(strain.look, unit.pid, refused, memory)

    async def wait(self, id: UnitId) -> Exit:
        """Return when the unit has ended. Raises NotFoundError when there is no record of it."""
        if self._records.spec(id) is None:
            raise NotFoundError("there is no such unit", unit=id)
        while True:
            unit = self._records.unit(id)
            if unit is None or unit.exit is not None:
                return unit.exit if unit is not None and unit.exit is not None else self._unknown_end()
            try:
                await self._command(id, "wait", limit_s=None)
            except UnavailableError:
                await anyio.sleep(0.1)  # noqa: TID251 - it starts or ends this very moment; what is on the disk tells

    def _unknown_end(self) -> Exit:
        return Exit(code=None, signal=None, oom=False, at=self._now())

    # commanding

    async def accept(self, id: UnitId, *, peers: int = 0) -> None:
        """The unit accepts connections from now on, as `peers` others do. Raises UnavailableError when it cannot."""
        answer = await self._command(id, f"accept {peers}")
        if not answer.get("accepting"):
            raise UnavailableError("the instance does not accept connections", unit=id)

    async def quiesce(self, id: UnitId) -> None:
        """The unit accepts nothing new from now on; what is open goes on. A unit that is gone accepts nothing."""
        unit = await self.get(id)
        if unit is None or unit.state == "exited":
            return
        answer = await self._command(id, "quiesce")
        if answer.get("accepting"):
            raise UnavailableError("the instance still accepts connections", unit=id)

    async def connections(self, id: UnitId) -> int:
        """How many are open: a unit that is quiesced has nothing to do any more when none is."""
        unit = await self.get(id)
        return unit.connections if unit is not None else 0

    async def dial(self, id: UnitId, port: int) -> ByteStream:
        """A stream to `port` inside the unit (0: where it is reached); closed at once when nobody listens there."""
        port = port or int((self._records.spec(id) or {}).get("port", 8080))
        try:
            stream = await anyio.connect_unix(str(self._records.control(id)))
            await stream.send(f"dial {port}\n".encode())
        except (OSError, anyio.BrokenResourceError) as cause:
            raise UnavailableError("the instance does not answer", unit=id) from cause
        return stream

    async def stop(self, id: UnitId, *, grace_s: float) -> Exit:
        """SIGTERM to the app, SIGKILL after `grace_s`. Idempotent."""
        unit = await self.get(id)
        if unit is None:
            return self._unknown_end()
        if unit.exit is None:
            await self._ask_to_stop(id, grace_s)
            with anyio.move_on_after(grace_s + COMMAND_S):
                return await self.wait(id)
            self._kill(id)
        return await self.wait(id)

    async def _ask_to_stop(self, id: UnitId, grace_s: float) -> None:
        for again in (True, False):  # one that was not told has had no time to end
            try:
                await self._command(id, f"stop {grace_s}")
                return
            except UnavailableError:
                if not again:
                    self._kill(id)

    def _kill(self, id: UnitId) -> None:
        """SIGKILL to the monitor; all of the unit dies with it."""
        known = self._records.identity(id)
        fd = identity.open_pidfd(known) if known is not None else None
        if fd is not None:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            os.close(fd)

    async def forget(self, id: UnitId) -> None:
        """Remove what is known of an ended unit. Raises ConflictError when it runs."""
        unit = await self.get(id)
        if unit is None:
            return
        if unit.state != "exited":
            raise ConflictError("the unit still runs", unit=id)
        await anyio.to_thread.run_sync(cgroup.clear, self._hierarchies, f"{self._tag}/{id}")
        await anyio.to_thread.run_sync(shutil.rmtree, self._records.folder(id), True)
        self._records.forget(id)

    async def open_shell(self, id: UnitId, *, terminal: Terminal | None) -> Shell:
        """A shell inside the unit, as confined as it. Raises UnavailableError when the unit does not run."""
        return await shell.open_shell(self._units / id, seccomp=self._seccomp or b"", terminal=terminal)

    def stop_helpers(self) -> None:
        """End the processes that serve all units, and those that wait for one."""
        self._spares.close()
        wayout.stop_proxy(self._units.parent / "proxy.pid")

    async def _command(self, id: UnitId, order: str, *, limit_s: float | None = COMMAND_S) -> dict[str, Any]:
        """limit_s: None waits as long as the monitor lives."""
        try:
            with anyio.fail_after(limit_s):
                async with await anyio.connect_unix(str(self._records.control(id))) as stream:
                    await stream.send(order.encode() + b"\n")
                    said = b""
                    while not said.endswith(b"\n"):
                        said += await stream.receive()
        except (OSError, TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError) as cause:
            raise UnavailableError("the instance's monitor does not answer", unit=id) from cause
        answer: dict[str, Any] = json.loads(said)
        if "error" in answer:
            raise UnavailableError("the instance's monitor did not understand", unit=id, error=answer["error"])
        return answer
