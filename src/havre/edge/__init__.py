"""The edge: host names, routes, certificates and TCP redirections; what the proxy at the front door should be doing.

All of it is wanted state in the store. Reconcilers turn it into symlinks, flags and certificate files that the proxy
reads on each request, so a change takes effect at once and reloads nothing. The proxy and the gate of TCP redirections
outlive the control plane; a keeper starts them again while it is away. Manual page: README.md.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import httpx
import sqlalchemy as sa
import structlog

from havre.base.errors import ConflictError, HavreError, UnavailableError
from havre.drivers import caddy, tcpgate
from havre.drivers.keeper import Keeper
from havre.drivers.x509 import Checked
from havre.edge import act, proof, tables
from havre.edge.certificates.intents import add as add_certificate
from havre.edge.certificates.intents import remove as remove_certificate
from havre.edge.certificates.model import Certificate
from havre.edge.certificates.reconcile import Figures as CertificateFigures
from havre.edge.certificates.states import CertificateState
from havre.edge.certificates.tables import certificates as all_certificates
from havre.edge.certificates.tables import own_of as certificates_of
from havre.edge.intents import (
    NAMESPACES,
    add_redirection,
    claim,
    release,
    release_all,
    remove_redirection,
    set_favourite,
    set_force_https,
    set_sticky,
    unset_favourite,
)
from havre.edge.leads import Led
from havre.edge.lookup import servers_of
from havre.edge.model import Domain, Redirection, Vhost, parse_name
from havre.edge.names import Names, NameState, edge_name
from havre.edge.parts import access_log, ca_file, domain_of, gate_of, ports_of, proxy_of, routes_of
from havre.edge.parts import certificates_of as _certificates
from havre.edge.proof import Challenge
from havre.edge.reconcile import Figures, Scope
from havre.edge.stalls import LOOK_S, Stalls
from havre.edge.stalls import Figures as StallFigures
from havre.edge.tables import SCHEMA
from havre.edge.views import (
    app_of_host,
    can_be_proven,
    default_fqdn,
    favourite,
    hosts_shown,
    is_https_forced,
    is_sticky,
    main_fqdns,
    redirections,
    vhosts,
)
from havre.kernel.clock import Clock
from havre.kernel.config import Paths
from havre.kernel.kernel import Kernel
from havre.kernel.reconcile import Pass, Reconciler
from havre.kernel.rooms import Health, Loop, Room
from havre.kernel.store import Tx

__all__ = [
    "NAMESPACES", "SCHEMA", "Certificate", "CertificateState", "Challenge", "Checked", "Domain", "Led",
    "NameState", "Names", "Redirection", "Vhost", "access_log", "add_certificate", "add_redirection",
    "all_certificates", "answers", "app_of_host", "app_socket", "ca_file", "can_be_proven", "certificates_of",
    "certify_now", "check_certificate", "claim", "default_fqdn", "domain_of", "edge_name", "expect", "favourite",
    "hosts_shown", "instance_socket", "is_https_forced", "is_sticky", "main_fqdns", "ports_in_use", "ports_of",
    "proof_of", "proxy_metrics", "reconcile_now", "redirections", "release", "release_all", "remove_certificate",
    "remove_redirection", "root_certificate", "set_favourite", "set_force_https", "set_sticky", "setup", "stop",
    "tcp_socket", "unset_favourite", "vhosts", "with_proof",
]  # fmt: skip
T = TypeVar("T")
LONG_S, REST_FACTOR, LONGEST_REST_S = 0.05, 9, 6.0
GATE_S = 10.0  # until a gate that was just started answers
log = structlog.get_logger()


def setup(kernel: Kernel) -> Room:
    """The room. Its `start` has the proxy running and every route in place before anybody else starts. Raises
    InvalidError naming a setting that nobody can use."""
    if kernel.config.edge.resolver:
        servers_of(kernel.config.edge.resolver)
    figures, proxy, routes = Figures(kernel.metrics), proxy_of(kernel), routes_of(kernel)
    certificates = _certificates(kernel, CertificateFigures(kernel.metrics))
    stalls, trouble = Stalls(kernel, proxy.stalled, StallFigures(kernel.metrics)), _Trouble()

    async def route() -> Pass:
        done = await _paced(kernel.clock, lambda: routes.everything(figures))
        if kernel.clock.now() < trouble.certified_at:  # set back: what was made meanwhile has not begun
            await certify()
        trouble.gate = {}
        if await kernel.store.read(lambda conn: bool(tables.redirections(conn))):
            await ensure()
            trouble.gate = {str(port): why for port, why in (await _look(kernel)).failed.items()}
        return done

    async def certify() -> Pass:
        return await _paced(kernel.clock, certify_all)

    async def certify_all() -> Pass:
        trouble.certified_at = kernel.clock.now()
        done = await certificates.sync()
        trouble.certificates = await certificates.alarm()
        return done

    counted = proxy.starts()

    def count_starts() -> int:
        nonlocal counted
        before, counted = counted, proxy.starts() or counted  # none is told of while there is no record
        started = max(0, counted - before)
        figures.starts.inc(started)
        return started

    async def ensure() -> None:
        if await (await _with_gate(kernel)).ensure():
            started = count_starts()
            event = "edge.proxy.started" if started else "edge.proxy.loaded"
            log.info(event, https_port=kernel.config.edge.https_port, http_port=kernel.config.edge.http_port)

    async def start() -> None:
        ports_of(kernel.config)
        await kernel.store.write(lambda tx: _remember(tx, kernel))
        await certify_all()
        await routes.everything(figures)
        await ensure()

    async def watch() -> None:
        await proxy.wait_ended()
        log.warning("edge.proxy.ended")
        await ensure()
        count_starts()

    async def health() -> Health:
        error = "" if proxy.running() else "the proxy is not running; it is started again by itself"
        lost = [f"the redirection of port {port} cannot listen: {why}" for port, why in trouble.gate.items()]
        error = next((each for each in (error, *lost, stalls.trouble, trouble.certificates) if each), "")
        count = await kernel.store.read(tables.count)
        return Health(error=error, figures={"routes": float(count)})

    return Room(
        "edge",
        schema=tables.SCHEMA,
        reconcilers=(
            Reconciler("edge.routes", route, wake_on=("edge.", "apps."), every_s=30),
            Reconciler("edge.certificates", certify, wake_on=("edge.vhost.", "edge.certificate."), every_s=600),
            Reconciler("edge.orders", certificates.orders, wake_on=("edge.vhost.", "edge.certificate."), every_s=3600),
            Reconciler("edge.visitors", stalls.look, every_s=LOOK_S),
        ),
        loops=(Loop("edge.proxy", watch),),
        health=health,
        start=start,
    )


async def _paced(clock: Clock, run: Callable[[], Awaitable[Pass]]) -> Pass:
    """One whole pass, and then a rest in proportion: with ten thousand names it takes a while, and events are many.

    What somebody waits for is not done here but by `reconcile_now`, on the few names that it concerns.
    """
    began = clock.monotonic()
    done = await run()
    if (took := clock.monotonic() - began) > LONG_S:
        await clock.sleep(min(REST_FACTOR * took, LONGEST_REST_S))  # the machine may have stood still, too
    return done


class _Trouble:
    """What the last passes could not do, and when certificates were last looked at."""

    def __init__(self) -> None:
        self.certified_at = 0
        self.gate: dict[str, str] = {}
        self.certificates = ""


async def reconcile_now(
    kernel: Kernel, app_id: str = "", *, fqdns: Collection[str] = (), ports: Collection[int] = ()
) -> None:
    """Bring the routes, ports and certificates of an app to what is wanted before returning: for a caller that is
    about to rely on one. fqdns, ports: what the app may have lost, or got."""
    route = partial(
        routes_of(kernel).some, Scope(frozenset([app_id] if app_id else []), frozenset(fqdns), frozenset(ports))
    )
    if hosts := {each.partition("/")[0] for each in fqdns}:
        await _beside(partial(_certificates(kernel).ensure, hosts), route)
    else:
        await route()
    if ports:
        await (await _with_gate(kernel)).ensure()  # the first redirection of all brings the gate
        seen = await _look(kernel)
        for port in ports:
            if port in seen.failed:
                raise UnavailableError(f"port {port} cannot be listened on: {seen.failed[port]}")


async def _beside(*works: Callable[[], Awaitable[object]]) -> None:
    """Do them beside each other, each to its end; then raise what went wrong first."""
    failed: list[HavreError] = []

    async def do(work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except HavreError as error:
            failed.append(error)

    async with anyio.create_task_group() as group:
        for each in works:
            group.start_soon(do, each)
    if failed:
        raise failed[0]


async def _with_gate(kernel: Kernel) -> caddy.Caddy:
    """The proxy, and the gate when somebody has a redirection or had one since the start."""
    has_any = await kernel.store.read(lambda conn: bool(tables.redirections(conn)))
    return proxy_of(kernel, has_gate=has_any or Keeper(kernel.paths.edge).record(tcpgate.NAME) is not None)


async def _look(kernel: Kernel) -> tcpgate.Seen:
    """What the gate listens on. It may have been started this very moment."""
    with anyio.move_on_after(GATE_S):
        while True:
            try:
                return await gate_of(kernel).look()
            except UnavailableError:
                await kernel.clock.sleep(0.02)
    return await gate_of(kernel).look()


async def check_certificate(kernel: Kernel, certificate: str, key: str) -> Checked:
    """See `Notary.check`: PEM texts that somebody would have shown. Raises InvalidError with what is wrong."""
    look = partial(kernel.notary.check, certificate, key, now=kernel.clock.now())
    return await anyio.to_thread.run_sync(look)


async def certify_now(kernel: Kernel) -> None:
    """Have every host show its best certificate before returning."""
    await _certificates(kernel).sync()


async def expect(kernel: Kernel, app_id: str) -> None:
    """Instances of the app are about to accept: from now on its visitors wait for them, none is turned away."""
    await routes_of(kernel).expect(app_id)


async def with_proof(kernel: Kernel, owner_id: str, claim_it: Callable[[bool], Callable[[Tx], T]]) -> T:
    """Carry out a claim, `claim_it(is_proven)`; when another owner has the name, look whether `owner_id` can prove
    theirs. Raises ConflictError that says how to prove it."""
    try:
        return await kernel.store.write(claim_it(False))
    except ConflictError as taken:
        if not taken.facts.get("provable"):
            raise
        asked = await kernel.store.read(partial(proof.challenge, owner_id=owner_id, host=str(taken.facts["host"])))
        if not await proof.is_proven(asked, resolver=kernel.config.edge.resolver):
            raise ConflictError(f"{taken.message}; {asked.how}", **taken.facts) from None
    return await kernel.store.write(claim_it(True))


def proof_of(conn: sa.Connection, owner_id: str, fqdn: str) -> Challenge:
    """What `owner_id` has to publish to be given a name that another owner has. Raises InvalidError."""
    return proof.challenge(conn, owner_id=owner_id, host=parse_name(fqdn, tables.domain(conn)).host)


def app_socket(paths: Paths, app_id: str) -> Path:
    """Where the app's instances accept; every route of the app leads there."""
    return paths.app_sockets / f"{app_id}{act.SUFFIX}"


def tcp_socket(paths: Paths, app_id: str) -> Path:
    """Where the app's instances are handed the connections of its TCP redirections."""
    return paths.app_sockets / f"{app_id}{act.TCP_SUFFIX}"


def instance_socket(paths: Paths, app_id: str, *, generation: int, number: int) -> Path:
    """The socket of one instance alone, there while it accepts. Its successor in a generation has the same."""
    return paths.run / "i" / app_id / f"{generation}-{number}{act.SUFFIX}"


def ports_in_use() -> frozenset[int]:
    """The TCP ports on which somebody of this machine listens."""
    return act.ports_in_use()


async def root_certificate(paths: Paths, *, clock: Clock, limit_s: float = 20) -> bytes:
    """The root certificate of the internal authority (PEM), waited for. Raises UnavailableError after `limit_s`."""
    deadline = clock.monotonic() + limit_s
    file = ca_file(paths)
    while not file.exists():
        if clock.monotonic() > deadline:
            raise UnavailableError(f"the edge has made no root certificate ({file})")
        await clock.sleep(0.05)
    return file.read_bytes()


async def answers(kernel: Kernel) -> bool:
    """Whether the control plane is reached through the edge, over TLS, as a client reaches it."""
    edge = kernel.config.edge
    address = edge.binds[0] if edge.binds[0] not in ("", "0.0.0.0", "::") else "127.0.0.1"
    shown = f"[{address}]" if ":" in address else address
    try:
        trust = ssl.create_default_context(cadata=ca_file(kernel.paths).read_text())
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE  # an operator may have given it another
        async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=10) as client:
            answer = await client.get(
                f"https://{shown}:{edge.https_port}/",
                headers={"host": f"localhost:{edge.https_port}"},
                extensions={"sni_hostname": "localhost"},
            )
    except (OSError, ssl.SSLError, httpx.TransportError):
        return False
    return answer.status_code != 503


async def proxy_metrics(kernel: Kernel) -> str:
    """The proxy's own figures in Prometheus' text form; empty when it does not answer."""
    try:
        return await proxy_of(kernel).metrics()
    except HavreError:
        return ""


def _remember(tx: Tx, kernel: Kernel) -> None:
    domain = domain_of(kernel)
    if tables.domain(tx.conn) != domain:
        tables.set_domain(tx.conn, domain)
    proof.remember_secret(tx, kernel.rng)
