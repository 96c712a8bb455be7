"""The edge's room on a real kernel, for its tests: short directories, free ports, a caller's own settings."""

from __future__ import annotations

import datetime
import random
import shutil
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import anyio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from havre import edge
from havre.drivers import caddy
from havre.edge import proof, tables
from havre.kernel.clock import SystemClock
from havre.kernel.config import Config, EdgeConfig, Paths
from havre.kernel.events import Bus
from havre.kernel.kernel import Kernel
from havre.kernel.reconcile import LoopState, Pass, Reconciler, run_reconciler
from havre.kernel.rooms import Room
from havre.kernel.store import Store, events_schema
from tests.ports import free_ports

DAY_MS = 86_400_000


class ShiftedClock(SystemClock):
    """The machine's clock, put forward."""

    ahead_ms = 0

    def now(self) -> int:
        return super().now() + self.ahead_ms


class Visitors:
    """What the edge asks of the engine: how many wait at an app's socket."""

    count = 1

    def waiting(self, path: Path) -> int:
        return self.count


@asynccontextmanager
async def edge_kernel(store_url: str = "", **settings: Any) -> AsyncIterator[Kernel]:
    """A kernel with the edge's tables; `settings` are of `[edge]`. What runs of it is ended."""
    base = Path(tempfile.mkdtemp(prefix="hvr-", dir="/tmp"))
    http_port, https_port = free_ports(2)
    told = {"base_domain": "havre.test", "http_port": http_port, "https_port": https_port} | settings
    paths = Paths(data=base / "data", run=base / "run", toolchains=base / "toolchains")
    paths.create()
    clock, bus = ShiftedClock(), Bus()
    store = Store.open(store_url or f"sqlite:///{base / 'state.db'}", clock=clock, bus=bus)
    made = Kernel(
        config=Config(edge=EdgeConfig(**told)), paths=paths, clock=clock, rng=random.Random(1), store=store, bus=bus,
        operations=cast(Any, None), units=cast(Any, Visitors()),
    )  # fmt: skip
    await store.migrate([events_schema(), tables.SCHEMA])
    await store.write(lambda tx: tables.set_domain(tx.conn, edge.domain_of(made)))
    await store.write(lambda tx: proof.remember_secret(tx, made.rng))
    try:
        yield made
    finally:
        with anyio.CancelScope(shield=True):
            await caddy.stop(paths.edge)
        made.notary.close()
        store.close()
        shutil.rmtree(base)


@asynccontextmanager
async def running_room(kernel: Kernel, *, rest_factor: float = 0) -> AsyncIterator[Room]:
    """The whole room at work: proxy, keeper, gate, loops. `rest_factor`: as in the room itself."""
    room = edge.setup(kernel)
    assert room.start is not None
    await room.start()
    async with anyio.create_task_group() as group:
        group.start_soon(run_room, room, kernel, rest_factor)
        yield room
        group.cancel_scope.cancel()


async def run_room(room: Room, kernel: Kernel, rest_factor: float = 0) -> None:
    """The loops of the room. None rests after a pass unless it is told to, and a pass that has begun is made to its end:
    the library breaks when it is cancelled in the very moment in which a socket answers."""
    passes = kernel.loops.states.setdefault(room.loops[0].name, LoopState())

    async def loop_on() -> None:
        while True:
            await room.loops[0].run()
            passes.passes += 1

    async def reconcile(each: Reconciler) -> None:
        async def whole() -> Pass:
            with anyio.CancelScope(shield=True):
                return await each.run()

        await run_reconciler(replace(each, run=whole), bus=kernel.bus, clock=kernel.clock, loops=kernel.loops)

    usual, edge.REST_FACTOR = edge.REST_FACTOR, rest_factor
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(loop_on)
            for each in room.reconcilers:
                group.start_soon(reconcile, each)
    finally:
        edge.REST_FACTOR = usual


async def until(claim: Any, *, what: str, limit_s: float = 30) -> Any:
    """The first true answer of `claim()`, which may be awaited; fails with `what` after `limit_s`."""
    with anyio.move_on_after(limit_s):
        while True:
            answer = claim()
            if hasattr(answer, "__await__"):
                answer = await answer
            if answer:
                return answer
            await anyio.sleep(0.02)
    raise AssertionError(f"never happened: {what}")


def shown(kernel: Kernel, host: str | None, *, trust: str | None = None) -> x509.Certificate:
    """What the edge shows a visitor of `host`, who believes `trust` (PEM), else the internal authority, and checks
    chain, dates and name. None: one who names no host."""
    context = ssl.create_default_context(cadata=trust or edge.ca_file(kernel.paths).read_text())
    context.check_hostname = host is not None
    port = kernel.config.edge.https_port
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        with context.wrap_socket(plain, server_hostname=host) as tls:
            der = tls.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


class Company:
    """Somebody's certificate authority, with a root and an intermediate."""

    def __init__(self, name: str = "Example Company") -> None:
        self.root_key, self.key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self.root = _sign(f"{name} Root", self.root_key, f"{name} Root", self.root_key, is_ca=True)
        self.middle = _sign(f"{name} Issuing", self.key, f"{name} Root", self.root_key, is_ca=True)
        self.name = name

    @property
    def trust(self) -> str:
        return pem(self.root)

    def leaf(self, *names: str, days: float = 90, begin_days: float = -1, **more: Any) -> tuple[x509.Certificate, str]:
        """A certificate for `names` and its key (PEM)."""
        key = more.pop("key", None) or ec.generate_private_key(ec.SECP256R1())
        made = _sign(
            names[0], key, f"{self.name} Issuing", self.key, names=names, days=days, begin_days=begin_days, **more
        )
        return made, key_pem(key)

    def chain(self, *names: str, **more: Any) -> tuple[str, str]:
        """What an upload holds: leaf and intermediate, and the key."""
        leaf, key = self.leaf(*names, **more)
        return pem(leaf) + pem(self.middle), key


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: Any, password: bytes | None = None) -> str:
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    made: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    return made.decode()


def _sign(
    subject: str, key: Any, issuer: str, issuer_key: Any, *, is_ca: bool = False, names: Sequence[str] = (),
    days: float = 3650, begin_days: float = -1, algorithm: Any = None,
) -> x509.Certificate:  # fmt: skip
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject[:64])]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=begin_days))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if names:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
    return made.sign(issuer_key, algorithm or hashes.SHA256())
