"""Brings the proxy's directories to the vhosts that are wanted, and keeps the proxy itself alive."""

from __future__ import annotations

import anyio.from_thread
import anyio.to_thread
import sqlalchemy as sa
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from havre.drivers import caddy
from havre.edge import act, decide, tables
from havre.edge.model import Served
from havre.kernel.config import Paths
from havre.kernel.reconcile import Pass
from havre.kernel.store import Store

log = structlog.get_logger()


class Figures:
    """The room's metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.routes = Gauge("havre_edge_routes", "Names that are routed.", registry=registry)
        self.changes = Counter("havre_edge_route_changes", "Changes of routes.", registry=registry)
        self.starts = Counter("havre_edge_proxy_starts", "Starts of the proxy.", registry=registry)


def read_served(conn: sa.Connection) -> list[Served]:
    """Every vhost as the proxy is to serve it."""
    return [
        Served(caddy.route_name(vhost.fqdn), vhost.app_id, is_forced) for vhost, is_forced in tables.all_vhosts(conn)
    ]


async def reconcile_routes(store: Store, paths: Paths, figures: Figures | None = None) -> Pass:
    """One pass. What is wanted is read while the directories are held, so that no older view overtakes a newer one."""
    done = await anyio.to_thread.run_sync(_pass, store, paths)
    if figures is not None:
        figures.routes.set(done.wanted)
        figures.changes.inc(done.changed)
    if done.changed:
        log.info("edge.routes.changed", routes=done.wanted, changes=done.changed)
    return done


def _pass(store: Store, paths: Paths) -> Pass:
    act.prepare(paths.run)
    with act.exclusively(paths.run):
        served = anyio.from_thread.run(store.read, read_served)
        wanted = decide.wanted_entries(served, act.listening_apps(paths.run))
        steps = decide.decide_routes(wanted, act.seen_entries(paths.run))
        for step in steps:
            act.apply(paths.run, step)
    return Pass(wanted=len(served), changed=len(steps))
