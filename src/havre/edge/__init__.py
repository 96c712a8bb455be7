"""The edge: host names, routes and certificates; what the proxy at the front door should be doing.

A vhost is wanted state in the store. The reconciler turns it into symlinks and flags that the proxy reads on each
request, so a change takes effect at once and reloads nothing. The proxy outlives the control plane, and so do routes
and certificates. Manual page: README.md.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import structlog

from havre.base.errors import HavreError, UnavailableError
from havre.drivers import caddy
from havre.drivers.caddy import Caddy, EdgeSettings
from havre.edge import act, tables
from havre.edge.intents import claim, release, release_all, set_favourite, set_force_https, unset_favourite
from havre.edge.model import Domain, Vhost
from havre.edge.reconcile import Figures, reconcile_routes
from havre.edge.views import app_of_host, default_fqdn, favourite, is_https_forced, may_serve, vhosts
from havre.kernel.clock import Clock
from havre.kernel.config import Paths
from havre.kernel.kernel import Kernel
from havre.kernel.reconcile import Pass, Reconciler
from havre.kernel.rooms import Health, Loop, Room
from havre.kernel.store import Tx

__all__ = [
    "Vhost",
    "access_log",
    "answers",
    "app_of_host",
    "app_socket",
    "ca_file",
    "claim",
    "default_fqdn",
    "favourite",
    "is_https_forced",
    "may_serve",
    "proxy_metrics",
    "reconcile_now",
    "release",
    "release_all",
    "root_certificate",
    "set_favourite",
    "set_force_https",
    "setup",
    "stop",
    "unset_favourite",
    "vhosts",
]
SOCKET_PATH_LIMIT = 107  # bytes, unix(7)
log = structlog.get_logger()


def setup(kernel: Kernel) -> Room:
    """The room. Its `start` has the proxy running and every route in place before anybody else starts."""
    figures = Figures(kernel.metrics)
    proxy = _proxy(kernel)

    async def run_pass() -> Pass:
        return await reconcile_routes(kernel.store, kernel.paths, figures)

    async def ensure() -> None:
        was = proxy.running()
        if await proxy.ensure():
            event = "edge.proxy.started" if was is None else "edge.proxy.loaded"
            figures.starts.inc(1 if was is None else 0)
            log.info(event, https_port=kernel.config.edge.https_port, http_port=kernel.config.edge.http_port)

    async def start() -> None:
        await kernel.store.write(lambda tx: _remember_domain(tx, domain_of(kernel)))
        await run_pass()
        await ensure()

    async def watch() -> None:
        await proxy.wait_ended()
        log.warning("edge.proxy.ended")
        await ensure()

    async def health() -> Health:
        error = "" if proxy.running() else "the proxy is not running; it is started again by itself"
        routes = await kernel.store.read(tables.all_vhosts)
        return Health(error=error, figures={"routes": float(len(routes))})

    return Room(
        "edge",
        schema=tables.SCHEMA,
        reconcilers=(Reconciler("edge.routes", run_pass, wake_on=("edge.", "apps."), every_s=30),),
        loops=(Loop("edge.proxy", watch),),
        health=health,
        start=start,
    )


async def reconcile_now(kernel: Kernel) -> None:
    """Bring the routes to what is wanted before returning: for a caller that is about to rely on one."""
    await reconcile_routes(kernel.store, kernel.paths)


def app_socket(paths: Paths, app_id: str) -> Path:
    """Where the app's instances accept; every route of the app leads there."""
    return paths.app_sockets / f"{app_id}{act.SUFFIX}"


def access_log(paths: Paths) -> Path:
    """One JSON object a line, of every request to an app. It rolls: the file is renamed and begun anew."""
    return paths.edge / "access.log"


def ca_file(paths: Paths) -> Path:
    """The root certificate of the internal CA (PEM); there once the proxy has started."""
    return caddy.root_file(_storage(paths))


async def root_certificate(paths: Paths, *, clock: Clock, limit_s: float = 20) -> bytes:
    """The root certificate (PEM), waited for. Raises UnavailableError after `limit_s`."""
    deadline = clock.monotonic() + limit_s
    file = ca_file(paths)
    while not (file.exists() and (content := file.read_bytes()).rstrip().endswith(b"-----END CERTIFICATE-----")):
        if clock.monotonic() > deadline:
            raise UnavailableError(f"the edge has made no root certificate ({file})")
        await clock.sleep(0.05)
    return content


async def answers(kernel: Kernel) -> bool:
    """Whether the control plane is reached through the edge, over TLS, as a client reaches it."""
    edge = kernel.config.edge
    address = edge.bind if edge.bind not in ("", "0.0.0.0", "::") else "127.0.0.1"
    shown = f"[{address}]" if ":" in address else address
    try:
        trust = ssl.create_default_context(cadata=ca_file(kernel.paths).read_text())
        async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=10) as client:
            answer = await client.get(
                f"https://{shown}:{edge.https_port}/",
                headers={"host": f"localhost:{edge.https_port}"},
                extensions={"sni_hostname": "localhost"},
            )
    except (OSError, ssl.SSLError, httpx.TransportError):
        return False
    return answer.status_code != 503


async def stop(paths: Paths) -> None:
    """End the proxy. Idempotent."""
    await caddy.stop(paths.edge)


async def proxy_metrics(kernel: Kernel) -> str:
    """The proxy's own figures in Prometheus' text form; empty when it does not answer."""
    try:
        return await _proxy(kernel).metrics()
    except HavreError:
        return ""


def domain_of(kernel: Kernel) -> Domain:
    """What names are checked against in this installation."""
    room = SOCKET_PATH_LIMIT - len(str(kernel.paths.routes).encode()) - len("/" + act.SUFFIX)
    return Domain(kernel.config.edge.base_domain, room)


def _remember_domain(tx: Tx, domain: Domain) -> None:
    if tables.domain(tx.conn) != domain:
        tables.set_domain(tx.conn, domain)


def _proxy(kernel: Kernel) -> Caddy:
    edge, paths = kernel.config.edge, kernel.paths
    origin = urlsplit(edge.public_origin).hostname
    settings = EdgeSettings(
        run=paths.run,
        storage=_storage(paths),
        access_log=access_log(paths),
        caddy_log=paths.edge / "caddy.log",
        base_domain=edge.base_domain,
        bind=edge.bind,
        http_port=edge.http_port,
        https_port=edge.https_port,
        own_hosts=(origin,) if origin else (),
    )
    return Caddy(paths.edge, settings, kernel.clock)


def _storage(paths: Paths) -> Path:
    return paths.edge / "storage"
