"""Apps that mean harm, beside one that does not: the real engine, the specs of real instances, and a way to try all of
it as another user of the host."""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import anyio.to_thread

from havre.apps import specs
from havre.apps.model import App, Deployment
from havre.apps.runtimes import Plan
from havre.base.ids import UnitId
from havre.drivers import wayout
from havre.kernel import doctor, units
from havre.kernel.clock import SystemClock
from havre.kernel.config import Config, Paths
from havre.kernel.units import Exit, Quota, Strain, Tree, Unit, Units, UnitSpec
from tests.room.build_rig import a_deployment, an_app, an_instance

ROOT = Path(__file__).resolve().parents[1]
IS_ROOT = os.getuid() == 0
SECRET = "the neighbour's secret 5f1d"
ORDINARY_UID = 54_321
NEIGHBOUR = f"""
import socket, socketserver, os
s = socket.socket(socket.AF_UNIX); s.bind("\\0havre-neighbour"); s.listen()
class Answer(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(4096)
        self.request.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + {SECRET!r}.encode())
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True
Server(("0.0.0.0", 8080), Answer).serve_forever()
"""
PRELUDE = """
import ctypes, errno, glob, os, resource, signal, socket, struct, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def leak(what): print("LEAK", what, flush=True)
def refused(what, *wanted):
    '''The call must fail, with one of the wanted errors if any are named.'''
    def check(call):
        try:
            found = call()
        except OSError as error:
            if wanted and error.errno not in wanted: leak(f"{what}: {error!r}")
        else:
            leak(f"{what}: {found!r}")
    return check
def syscall(number, *args):
    result = libc.syscall(number, *args)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def reaches(host, port, timeout=0.7):
    try:
        socket.create_connection((host, port), timeout).close()
        return True
    except OSError:
        return False
"""


@dataclass
class Trial:
    """How an attack ended."""

    unit: Unit
    exit: Exit | None
    said: str

    @property
    def leaks(self) -> list[str]:
        return [line for line in self.said.splitlines() if line.startswith("LEAK")]


@dataclass
class HostileRig:
    paths: Paths
    engine: Units
    started: list[UnitId] = field(default_factory=list)
    number: int = 0

    def spec(self, code: str, *, flavor: str = "pico", **changes: object) -> UnitSpec:
        """The spec of an instance of an app of its own, whose program is `code`."""
        self.number += 1
        app: App = an_app("python", uid=250_100 + self.number, name=f"hostile-{self.number}")
        deployment: Deployment = a_deployment(app, {"SECRET": SECRET} if code is NEIGHBOUR else {})
        release = self.paths.releases / app.id / deployment.id
        release.mkdir(parents=True)
        (release / "app.py").write_text(code)
        if code is NEIGHBOUR:
            (release / "secret.txt").write_text(SECRET)
        if IS_ROOT:
            for each in (release, *release.iterdir()):
                os.chown(each, app.uid, app.uid)
        instance = replace(an_instance(app, deployment), flavor=flavor)
        log = self.paths.deployments / deployment.id / f"{instance.id}.log"
        log.parent.mkdir(parents=True)
        plan = Plan(runtime="python", toolchains=(), build=(), start="/usr/bin/python3 -u -S app.py")
        sockets = self.paths.app_sockets
        spec = specs.instance_spec(
            paths=self.paths, app=app, deployment=deployment, plan=plan, toolchains=(), instance=instance,
            doors=specs.Doors(sockets / f"{self.number}.sock", sockets / f"{self.number}.tcp", sockets / f"{self.number}.own"),
            log=log,
        )  # fmt: skip
        return replace(spec, **changes)  # type: ignore[arg-type]

    async def start(self, spec: UnitSpec) -> UnitSpec:
        self.started.append(spec.id)
        await self.engine.start(spec)
        return spec

    async def attack(self, code: str, *, limit_s: float = 60, **changes: object) -> Trial:
        """Run an attack to its end, or for `limit_s`."""
        spec = await self.start(self.spec(PRELUDE + textwrap.dedent(code), **changes))
        ended: Exit | None = None
        with anyio.move_on_after(limit_s):
            ended = await self.engine.wait(spec.id)
        unit = await self.engine.get(spec.id)
        assert unit is not None
        return Trial(unit, ended, tail(spec.log))

    def build_spec(self, code: str, quota: tuple[int, int], **changes: object) -> UnitSpec:
        """As a build: a folder on the disk that it may write, within (bytes, files)."""
        spec = self.spec(PRELUDE + textwrap.dedent(code))
        folder = self.paths.cache / spec.labels["app"]
        folder.mkdir(parents=True)
        if IS_ROOT:
            os.chown(folder, spec.uid or 0, spec.uid or 0)
        bind = units.Bind(folder, "/home/bas/.cache", writable=True)
        found = Quota((Tree("the build cache", folder, *quota),), reserve_bytes=64 * 1024**2)
        return replace(spec, kind="build", listen=None, binds=(bind,), quota=found, **changes)  # type: ignore[arg-type]

    async def ask(self, spec: UnitSpec) -> str:
        """What the app answers through its socket."""
        with anyio.fail_after(20):
            async with await anyio.connect_unix(str(spec.listen)) as stream:
                await stream.send(b"GET / HTTP/1.0\r\n\r\n")
                said = b""
                while True:
                    try:
                        said += await stream.receive()
                    except anyio.EndOfStream:
                        return said.decode()

    async def neighbour(self) -> UnitSpec:
        """An app that serves."""
        spec = await self.start(self.spec(NEIGHBOUR))
        await self.engine.accept(spec.id)
        with anyio.fail_after(30):
            while SECRET not in await self.ask(spec):
                await anyio.sleep(0.05)
        return spec

    async def end(self) -> None:
        for id in self.started:
            await self.engine.stop(id, grace_s=0)
            await self.engine.forget(id)
        self.engine.stop_helpers()


def tail(log: Path) -> str:
    with open(log, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 65536))
        return file.read().decode(errors="replace")


@contextmanager
def open_rig(*, way_out: str | None = None) -> Iterator[HostileRig]:
    """way_out: `proxy` although the machine has a better one."""
    base = Path(tempfile.mkdtemp(prefix="hvh ", dir="/tmp"))
    paths = Paths(base / "data", base / "run", base / "toolchains")
    paths.create()
    (paths.data / "credentials.json").write_text('{"token": "of the operator"}')
    (paths.data / "havre.db").write_text("the state")
    with socket.socket(socket.AF_UNIX) as control_plane:
        control_plane.bind(str(paths.run / "api.sock"))
        control_plane.listen()
        engine = units.open_units(Config(), paths, clock=SystemClock())
        if way_out == "proxy":
            engine._way_out = wayout.by_proxy("a trial")  # type: ignore[attr-defined]
        try:
            yield HostileRig(paths, engine)
        finally:
            shutil.rmtree(base, ignore_errors=True)


Claim = Callable[[], Awaitable[None]]


async def while_the_neighbour_answers(rig: HostileRig, neighbour: UnitSpec, trial: Claim) -> None:
    """Carry out `trial`; meanwhile the neighbour is asked without a pause and answers every time."""
    took: list[float] = []
    is_over = anyio.Event()

    async def ask() -> None:
        while not is_over.is_set():  # not cancelled: AnyIO fails on a stream that is readable the moment it is given up
            began = time.perf_counter()
            assert SECRET in await rig.ask(neighbour)
            took.append(time.perf_counter() - began)
            await anyio.sleep(0.01)

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await trial()
        is_over.set()
    assert took
    p99 = statistics.quantiles(took, n=100)[98] if len(took) > 1 else took[0]
    print(f"neighbour: {len(took)} answers, p99 {p99 * 1000:.0f} ms", end=" ")


async def seen_at_its_bound(
    rig: HostileRig, neighbour: UnitSpec, spec: UnitSpec, is_seen: Callable[[Strain], bool]
) -> None:
    """The bound that the app comes up against is seen from outside, while its neighbour's are not touched."""
    bomb = await rig.start(spec)
    with anyio.fail_after(60):
        while not is_seen(await rig.engine.strain(bomb.id)):
            await anyio.sleep(0.1)
    calm = await rig.engine.strain(neighbour.id)
    assert calm == Strain(), "who does nothing strains nothing"
    await rig.engine.stop(bomb.id, grace_s=0)
    assert await rig.engine.strain(bomb.id) == Strain()


def found_by_doctor(rig: HostileRig) -> dict[str, doctor.Finding]:
    return {each.what: each for each in doctor.examine(Config(), rig.paths, running=True)}


@dataclass
class HostService:
    """Something of the host's that listens on every address of it, and says so."""

    port: int
    addresses: tuple[str, ...]
    visits: list[str] = field(default_factory=list)


@contextmanager
def host_service() -> Iterator[HostService]:
    """A service on all addresses of this machine, IPv4 and IPv6."""
    server = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    made = HostService(server.getsockname()[1], tuple(own_addresses()))

    def serve() -> None:
        while True:
            try:
                connection, peer = server.accept()
            except OSError:
                return
            made.visits.append(peer[0])
            connection.close()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def own_addresses() -> Iterator[str]:
    """Those that stay: a sandbox's end of a pair goes with the sandbox."""
    seen = subprocess.run(["ip", "-o", "addr"], capture_output=True, text=True).stdout
    for line in seen.splitlines():
        words = line.split()
        if (
            words[2] in ("inet", "inet6")
            and not words[3].startswith("fe80")
            and not words[1].startswith(("havre", "hv"))
        ):
            yield words[3].partition("/")[0]


def as_ordinary_user(argv: Sequence[str], *, limit_s: float) -> subprocess.CompletedProcess[str]:
    """Run a command as a user of this machine without any privilege, who can read this checkout and its environment.

    Folders on the way to them that this user may not enter are covered for the command alone, in a mount namespace.
    """
    places = dict.fromkeys([ROOT, Path(sys.prefix), Path(sys.base_prefix)])
    covered = {place: closed for place in places if (closed := _closed(place)) is not None}
    steps = ["set -e"]
    steps += [f"exec {number}<{quoted(place)}" for number, place in enumerate(covered, 5)]
    steps += [f"mount -t tmpfs -o mode=755 cover {quoted(closed)}" for closed in dict.fromkeys(covered.values())]
    for number, place in enumerate(covered, 5):
        steps += [f"mkdir -p {quoted(place)}", f"mount -c --bind /proc/self/fd/{number} {quoted(place)}"]
    home = tempfile.mkdtemp(prefix="hvu-", dir="/tmp")
    os.chown(home, ORDINARY_UID, ORDINARY_UID)
    user = f"--reuid={ORDINARY_UID} --regid={ORDINARY_UID} --clear-groups --inh-caps=-all --bounding-set=-all"
    steps.append(f'exec setpriv {user} env -i PATH="$PATH" HOME={home} PYTHONDONTWRITEBYTECODE=1 "$@"')
    try:
        return subprocess.run(
            ["unshare", "--mount", "/bin/sh", "-c", "\n".join(steps), "sh", *argv],
            capture_output=True, text=True, timeout=limit_s, cwd=ROOT,
        )  # fmt: skip
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _closed(place: Path) -> Path | None:
    """The outermost folder on the way to `place` that others may not walk through."""
    return next((each for each in reversed(place.parents) if not each.stat().st_mode & 0o001), None)


def quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"
