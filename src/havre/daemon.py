"""Puts the rooms together, starts them in order, stops them in reverse.

`python -m havre.daemon` is the control plane. Stopping or killing it alone leaves every app serving: what runs is
adopted at the next start. What ends everything is `havre.ending`.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import gc
import json
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

if __name__ == "__main__":  # where other packages brought these, structlog and httpx load them: 6 MB for nothing
    for _name in ("rich", "pygments", "greenlet"):
        sys.modules[_name] = None  # type: ignore[assignment]

import anyio
import click
import structlog
import uvicorn

from havre import __version__, api, apps, console, edge, governance, network, notifications, observe, ssh
from havre.base.errors import HavreError
from havre.drivers import identity
from havre.drivers.disk.whole import write_whole
from havre.kernel import config as settings
from havre.kernel import housekeeping, units
from havre.kernel.clock import SystemClock
from havre.kernel.config import Config, Paths
from havre.kernel.context import RotatingLog, configure_log
from havre.kernel.events import Bus
from havre.kernel.kernel import Kernel
from havre.kernel.lock import locked
from havre.kernel.operations import SCHEMA as OPERATIONS_SCHEMA
from havre.kernel.operations import Operations
from havre.kernel.reconcile import run_reconciler
from havre.kernel.rooms import Loop, Room
from havre.kernel.settle import settle
from havre.kernel.store import Store, events_schema

log = structlog.get_logger()
SETTLED_S = 2.0  # after which every loop has looked around once


def build_kernel(config: Config, paths: Paths) -> Kernel:
    """The kernel of one control plane; opens the state database."""
    clock, bus = SystemClock(), Bus()
    store = Store.open(config.store.url or f"sqlite:///{paths.data / 'havre.db'}", clock=clock, bus=bus)
    around = _killer(config.trials.kill_at) if config.trials.kill_at else None
    node = f"{socket.gethostname()}:{paths.data}"[:80]
    return Kernel(
        config=config,
        paths=paths,
        clock=clock,
        rng=random.SystemRandom(),
        store=store,
        bus=bus,
        operations=Operations(store=store, bus=bus, clock=clock, node=node, around=around),
        units=units.open_units(config, paths, clock=clock),
        environment=settings.host_environment(),
    )


def build_rooms(kernel: Kernel) -> tuple[tuple[Room, ...], apps.Apps]:
    """Every room, in the order in which they start."""
    room, face = apps.setup(kernel)
    return (
        housekeeping.setup(kernel),
        governance.setup(kernel),
        edge.setup(kernel),
        network.setup(kernel),
        observe.setup(kernel, resolve_host=edge.app_of_host),
        notifications.setup(kernel, name_of=apps.views.name_of),
        room,
        ssh.setup(kernel),
    ), face


async def serve(kernel: Kernel, file: Path | None = None) -> None:
    """Run the control plane until SIGTERM or SIGINT. file: of its settings."""
    rooms, face = build_rooms(kernel)
    schemas = [room.schema for room in rooms if room.schema is not None]
    await kernel.store.migrate([events_schema(), OPERATIONS_SCHEMA, *schemas])
    for room in rooms:
        kernel.operations.register(room.operations)
    await settle(kernel.store, rooms)
    await _write_credentials(kernel)
    for room in rooms:
        if room.start is not None:
            await room.start()
    async with anyio.create_task_group() as group:
        for room in rooms:
            for loop in room.loops:
                group.start_soon(_run_loop, loop, kernel)
            for reconciler in room.reconcilers:
                group.start_soon(_reconcile, reconciler, kernel)
        group.start_soon(_run_loop, Loop("kernel.operations", kernel.operations.run), kernel)
        async with _http(kernel, rooms, face):
            await _wait_until_reachable(kernel)
            _write_status(kernel, file)
            group.start_soon(_give_back, kernel)
            log.info("daemon.control_plane.started", version=__version__, data=str(kernel.paths.data))
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    break
        group.cancel_scope.cancel()
    log.info("daemon.control_plane.stopped")


async def _reconcile(reconciler: Any, kernel: Kernel) -> None:
    await run_reconciler(reconciler, bus=kernel.bus, clock=kernel.clock, loops=kernel.loops)


async def _run_loop(loop: Loop, kernel: Kernel) -> None:
    """A loop that ends or fails starts again; it takes nobody down with it."""
    pause = 0.1
    while True:
        try:
            await loop.run()
            pause = 0.1
        except Exception as error:
            log.warning("daemon.loop.failed", loop=loop.name, exc_info=error)
            pause = min(30.0, pause * 2)
        await kernel.clock.sleep(pause)


async def _give_back(kernel: Kernel) -> None:
    """What only the start needed: garbage, and what the C library keeps for later (malloc_trim(3), glibc alone).

    What stays is there as long as we are, and is not gone through again at each collection (`gc.freeze`)."""
    await kernel.clock.sleep(SETTLED_S)
    gc.collect()
    gc.freeze()
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the daemon decides when it stops."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _http(kernel: Kernel, rooms: tuple[Room, ...], face: apps.Apps) -> AsyncIterator[None]:
    path = kernel.paths.run / "api.sock"
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    listening.bind(str(fresh))
    fresh.chmod(0o600)
    listening.listen(1024)
    fresh.rename(path)  # the edge never meets a moment without a socket
    app = api.create_app(kernel, rooms, face, pages=console.pages)
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            ws="websockets-sansio",
            timeout_graceful_shutdown=2,
            proxy_headers=False,
        )
    )
    async with anyio.create_task_group() as group:
        group.start_soon(server.serve, [listening])
        try:
            yield
        finally:
            server.should_exit = True


async def _wait_until_reachable(kernel: Kernel) -> None:
    """Ready means: a client gets an answer from the API through the edge."""
    with anyio.fail_after(60):
        while not await edge.answers(kernel):
            await kernel.clock.sleep(0.05)


async def _write_credentials(kernel: Kernel) -> None:
    """The first operator's credentials. They reach the disk before the account is acknowledged."""
    file = kernel.paths.data / "credentials.json"
    if file.exists():
        return
    credentials = governance.new_credentials(kernel.rng)
    _write(file, dataclasses.asdict(credentials), mode=0o600)
    try:
        await kernel.store.write(lambda tx: governance.bootstrap(tx, credentials, kernel.rng))
    except HavreError:
        file.unlink()
        raise


def status_of(kernel: Kernel, file: Path | None = None) -> dict[str, Any]:
    """What `havre status --json` prints, and what finds this process again."""
    config, paths = kernel.config, kernel.paths
    port = "" if config.edge.https_port == 443 else f":{config.edge.https_port}"
    seen = identity.of_pid(os.getpid())
    return {
        "pid": seen.pid,
        "start_time": seen.start_time,
        "boot_id": seen.boot_id,
        "api": config.origin,
        "console": config.origin,
        "base_domain": config.edge.base_domain,
        "apps": f"https://<app>.{config.edge.base_domain}{port}/",
        "http_port": config.edge.http_port,
        "https_port": config.edge.https_port,
        "ssh": f"ssh://ssh@{_ssh_host(config)}:{config.ssh.port}" if config.ssh.port else "",
        "ca": str(edge.ca_file(paths)),
        "data": str(paths.data),
        "run": str(paths.run),
        "store": kernel.store.dialect,
        "config": str(file.absolute()) if file is not None else "",
        "version": __version__,
    }


def _ssh_host(config: Config) -> str:
    """The host that people reach the SSH gateway at: the origin's."""
    host = urlsplit(config.origin).hostname or "localhost"
    return f"[{host}]" if ":" in host else host


def _write_status(kernel: Kernel, file: Path | None) -> None:
    _write(kernel.paths.data / "status.json", status_of(kernel, file), mode=0o644)


def _write(file: Path, content: Mapping[str, Any], *, mode: int) -> None:
    """Replace `file` as a whole, and only when its new content is on the disk."""
    write_whole(file, json.dumps(dict(content), indent=2) + "\n", mode=mode, sync=True)


def _killer(kill_at: str) -> Any:
    async def around(kind: str, step: str, phase: str) -> None:
        if f"{kind}/{step}/{phase}" == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    return around


@click.command()
@click.option("--config", "file", type=click.Path(path_type=Path), default=None)
@click.option("--set", "assignments", multiple=True, help="A setting as JSON, such as edge.https_port=9443.")
@click.option("--data", type=click.Path(path_type=Path), default=None)
@click.option("--log-file", type=click.Path(path_type=Path), default=None)
def main(file: Path | None, assignments: tuple[str, ...], data: Path | None, log_file: Path | None) -> None:
    """The control plane of one installation."""
    configure_log(stream=RotatingLog(log_file) if log_file else sys.stderr)
    try:
        overrides = {key: json.loads(value) for key, _, value in (each.partition("=") for each in assignments)}
        config = settings.load(file, overrides)
        paths = settings.paths_of(data or Path(config.data))
        with locked(paths.data):
            paths.create()
            kernel = build_kernel(config, paths)
            try:
                anyio.run(serve, kernel, file)
            finally:
                kernel.store.close()
    except HavreError as error:
        log.error("daemon.control_plane.failed", error=error.message, **{k: str(v) for k, v in error.facts.items()})
        raise SystemExit(f"havre: {error.message}") from error


if __name__ == "__main__":
    main()
