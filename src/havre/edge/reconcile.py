"""Brings the proxy's directories to what is wanted: routes, flags, slots and TCP redirections."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio.from_thread
import anyio.to_thread
import sqlalchemy as sa
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from havre.drivers import caddy
from havre.edge import act, decide, tables
from havre.edge.model import Entries, Key, Presence, Redirection, Served
from havre.kernel.clock import Clock
from havre.kernel.config import Paths
from havre.kernel.reconcile import Pass
from havre.kernel.store import Store

REST = 3  # so many times the wait until an app that was given up is waited for again
CALLED_S = 5.0  # how soon it is noticed that somebody waits
log = structlog.get_logger()


class Figures:
    """The room's metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.routes = Gauge("havre_edge_routes", "Names that are routed.", registry=registry)
        self.redirections = Gauge("havre_edge_redirections", "Public TCP ports of apps.", registry=registry)
        self.changes = Counter("havre_edge_route_changes", "Changes of routes.", registry=registry)
        self.starts = Counter("havre_edge_proxy_starts", "Starts of the proxy.", registry=registry)


@dataclass(frozen=True)
class Scope:
    """A part of the world: the names and ports of an app, and those that it may have lost."""

    app_id: str = ""
    fqdns: frozenset[str] = frozenset()
    ports: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Routes:
    """The directories of one installation.

    start_within_s: how long an app that may come back is waited for. waiting: how many visitors wait at a socket.
    """

    store: Store
    paths: Paths
    clock: Clock
    start_within_s: float = 30.0
    waiting: Callable[[Path], int] = lambda _: 1

    async def everything(self, figures: Figures | None = None) -> Pass:
        """One pass over all names."""
        return await anyio.to_thread.run_sync(partial(self._pass, None, figures))

    async def some(self, scope: Scope) -> Pass:
        """One pass over the names of `scope`, whatever the number of others: for a caller that relies on one now."""
        return await anyio.to_thread.run_sync(partial(self._pass, scope, None))

    async def expect(self, app_id: str) -> None:
        """Instances of the app are about to accept: from now on its visitors wait for them."""
        await anyio.to_thread.run_sync(self._expect, app_id)

    # inside

    def _pass(self, scope: Scope | None, figures: Figures | None) -> Pass:
        """What is wanted is read while the directories are held, so that no older view overtakes a newer one."""
        run = self.paths.run
        act.prepare(run)
        if scope is None:
            act.collect_doors(run)
        with act.exclusively(run / "routes.lock"):
            served, redirections = anyio.from_thread.run(self.store.read, partial(_read, run, scope))
            presence, again_s = self._presence(served, scope)
            slots = caddy.STICKY_SLOTS
            wanted = decide.wanted_entries(served, presence, redirections=redirections, slots=slots)
            seen = act.seen_entries(run, None if scope is None else _keys(run, scope, wanted))
            wanted |= decide.at_once(served, presence, seen, is_whole=scope is None)
            if scope is not None:
                wanted |= _kept_flags(seen, served, presence)
            steps = decide.decide_routes(wanted, seen)
            for step in steps:
                act.apply(run, step)
        if figures is not None:
            figures.routes.set(len(served))
            figures.redirections.set(len(redirections))
            figures.changes.inc(len(steps))
        if steps:
            log.info("edge.routes.changed", routes=len(served), changes=len(steps))
        return Pass(wanted=len(served), changed=len(steps), again_s=again_s)

    def _presence(self, served: Collection[Served], scope: Scope | None) -> tuple[Presence, float | None]:
        """Who is there; and after how long somebody will have been waited for long enough.

        The clock of an app runs from its first visitor on: one that sleeps until it is called is not given up. Who was
        given up is waited for again after a while, so that a visitor may call it once more.
        """
        run, limit = self.paths.run, self.start_within_s
        concerned = None if scope is None else {each.app_id for each in served}
        listening, accepting = act.listening_sockets(run, concerned)
        units = act.units_of(run, accepting)
        since, now = act.waits(run), self.clock.now() / 1000
        if scope is not None:
            over = frozenset(app_id for app_id, at in since.items() if now - at >= limit)
            return Presence(listening, accepting, over, units), None
        ahead = {app_id for app_id, at in since.items() if at > now}  # the clock was set back: they wait from now on
        since |= dict.fromkeys(ahead, now)
        absent = {each.app_id for each in served if each.app_id in listening and each.app_id not in accepting}
        rested = {app_id for app_id, at in since.items() if now - at >= limit * REST}
        called = {app_id for app_id in absent - since.keys() if self.waiting(self.paths.app_sockets / f"{app_id}.sock")}
        act.set_waits(run, begin=called | (ahead & absent), end=(since.keys() - absent) | rested, now=now)
        ages = {app_id: now - since[app_id] for app_id in (since.keys() & absent) - rested} | dict.fromkeys(called, 0.0)
        over = frozenset(app_id for app_id, age in ages.items() if age >= limit)
        left = [(limit if age < limit else limit * REST) - age for age in ages.values()]
        again_s = min(left, default=CALLED_S if absent else None)
        return Presence(listening, accepting, over, units), again_s

    def _expect(self, app_id: str) -> None:
        run = self.paths.run
        act.prepare(run)
        with act.exclusively(run / "routes.lock"):
            scope = Scope(app_id)
            served, _ = anyio.from_thread.run(self.store.read, partial(_read, run, scope))
            act.set_waits(run, begin=[app_id], end=[], now=self.clock.now() / 1000)
            for each in served:
                (act.folder(run, "down") / each.name).unlink(missing_ok=True)


def _read(run: Path, scope: Scope | None, conn: sa.Connection) -> tuple[list[Served], list[Redirection]]:
    """With a scope, whatever else is a name of its hosts belongs to it: a host is marked by whether it has prefixes."""
    if scope is None:
        rows, redirections = tables.served(conn), tables.redirections(conn)
    else:
        own = tables.served(conn, app_id=scope.app_id) if scope.app_id else []
        hosts = {each.partition("/")[0] for each in (*scope.fqdns, *(row.fqdn for row in own))}
        rows = tables.served(conn, hosts=hosts)
        redirections = tables.redirections(conn, app_id=scope.app_id) if scope.app_id else []
    prefixed = {host for host, slash, _ in (each.fqdn.partition("/") for each in rows) if slash}
    served = [_served(run, each, is_plain=_is_host(each.fqdn) and each.fqdn not in prefixed) for each in rows]
    return served, redirections


def _served(run: Path, row: tables.ServedRow, *, is_plain: bool) -> Served:
    name = caddy.route_name(row.fqdn)
    mark = caddy.Mark.OTHER if not is_plain else caddy.Mark.FORCED if row.is_forced else caddy.Mark.PLAIN
    has_room = act.has_room(run, name)
    return Served(name, row.app_id, row.is_forced, row.is_sticky, mark.value if has_room else "", is_plain and has_room)


def _is_host(fqdn: str) -> bool:
    return "/" not in fqdn and not fqdn.startswith("*.")


def _keys(run: Path, scope: Scope, wanted: Entries) -> set[Key]:
    """Every place where something of the scope may stand."""
    names = {caddy.route_name(each) for each in scope.fqdns}
    names |= {key.name for key in wanted if key.tree == "known"}
    kept = act.kept_keys(run, names, "".join(caddy.Mark))
    found = {Key(tree, name) for tree in ("force-https", "routes", "known", "down", "sticky", "s") for name in names}
    found |= {Key(tree, decide.host_of(name)) for tree in ("k", "long") for name in names}
    found |= {Key("slots", f"{scope.app_id}/{slot}") for slot in caddy.STICKY_SLOTS} if scope.app_id else set()
    found |= {Key("tcp", str(port)) for port in scope.ports}
    return found | kept | {key for key in wanted if key.tree == "tcp"}


def _kept_flags(seen: Entries, served: Collection[Served], presence: Presence) -> dict[Key, str]:
    """Who was given up stays given up until somebody accepts or is expected."""
    absent = {each.name for each in served if each.app_id not in presence.accepting}
    return {key: "" for key in seen if key.tree == "down" and key.name in absent}
