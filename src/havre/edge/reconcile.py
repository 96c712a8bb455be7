"""Brings the proxy's directories to what is wanted: routes, flags, slots and TCP redirections."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio.to_thread
import sqlalchemy as sa
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from havre.drivers import caddy
from havre.edge import act, decide, tables
from havre.edge.model import Entries, Key, Presence, Redirection, Served, Step
from havre.kernel.clock import Clock
from havre.kernel.config import Paths
from havre.kernel.reconcile import Pass
from havre.kernel.store import Store

REST = 3  # so many times the wait until an app that was given up is waited for again
FEW = 200  # steps: so many are done for the names that they are about, more in a pass over all
SWITCH_S = 0.001  # a thread that computes is interrupted after so long
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
    """A part of the world: the names and ports of apps, those that they may have lost, and places to look at."""

    app_ids: frozenset[str] = frozenset()
    fqdns: frozenset[str] = frozenset()
    ports: frozenset[int] = frozenset()
    keys: frozenset[Key] = frozenset()


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
        return await anyio.to_thread.run_sync(self._whole, figures)

    async def some(self, scope: Scope) -> None:
        """One pass over the names of `scope`, whatever the number of others: for a caller that relies on one now."""
        await anyio.to_thread.run_sync(self._part, scope)

    async def expect(self, app_id: str) -> None:
        """Instances of the app are about to accept: from now on its visitors wait for them."""
        await anyio.to_thread.run_sync(self._expect, app_id)

    # inside

    def _whole(self, figures: Figures | None) -> Pass:
        """A look at all names, while others change a few, and then what there is to do."""
        with _giving_way():
            return self._look(figures)

    def _look(self, figures: Figures | None) -> Pass:
        run = self.paths.run
        act.prepare(run)
        act.collect_doors(run)
        served, redirections = self.store.read_here(partial(_read, run, None))
        presence, again_s = self._presence(served)
        seen = act.seen_entries(run)
        found = decide.decide_routes(_wanted(served, redirections, presence, seen, is_whole=True), seen)
        changed = self._again(found, presence.given_up) if found else 0
        if figures is not None:
            figures.routes.set(len(served))
            figures.redirections.set(len(redirections))
            figures.changes.inc(changed)
        return Pass(wanted=len(served), changed=changed, again_s=again_s)

    def _again(self, found: Collection[Step], given_up: frozenset[str]) -> int:
        """Decide again, with the directories held, what a look has found to do: some of it may be what somebody was
        changing meanwhile. Only the names that it is about are looked at, unless they are many."""
        run = self.paths.run
        scope = _scope_of(found) if len(found) <= FEW else None
        with act.exclusively(run / "routes.lock"):
            served, redirections = self.store.read_here(partial(_read, run, scope))
            seen = act.seen_entries(run, None if scope is None else _keys(run, scope, served, redirections))
            led_to = {app_id for key, app_id in seen.items() if key.tree == "k"}
            given_up &= self._waited_enough()  # who is expected by now is not
            presence = self._present(None if scope is None else {each.app_id for each in served} | led_to, given_up)
            return self._do(_wanted(served, redirections, presence, seen, is_whole=True), seen)

    def _part(self, scope: Scope) -> None:
        """What is wanted is read while the directories are held, so that no older view overtakes a newer one."""
        run = self.paths.run
        act.prepare(run)
        with act.exclusively(run / "routes.lock"):
            served, redirections = self.store.read_here(partial(_read, run, scope))
            presence = self._present({each.app_id for each in served}, self._waited_enough())
            seen = act.seen_entries(run, _keys(run, scope, served, redirections))
            wanted = _wanted(served, redirections, presence, seen, is_whole=False)
            self._do(wanted | _kept_flags(seen, served, presence), seen)

    def _do(self, wanted: Entries, seen: Entries) -> int:
        steps = decide.decide_routes(wanted, seen)
        for step in steps:
            act.apply(self.paths.run, step)
        if steps:
            log.info("edge.routes.changed", changes=len(steps))
        return len(steps)

    def _waited_enough(self) -> frozenset[str]:
        since, now = act.waits(self.paths.run), self.clock.now() / 1000
        return frozenset(app_id for app_id, at in since.items() if now - at >= self.start_within_s)

    def _present(self, app_ids: Collection[str] | None, given_up: frozenset[str]) -> Presence:
        listening, accepting = act.listening_sockets(self.paths.run, app_ids)
        return Presence(listening, accepting, given_up, act.units_of(self.paths.run, accepting))

    def _presence(self, served: Collection[Served]) -> tuple[Presence, float | None]:
        """Who is there; and after how long somebody will have been waited for long enough.

        The clock of an app runs from its first visitor on: one that sleeps until it is called is not given up. Who was
        given up is waited for again after a while, so that a visitor may call it once more.
        """
        run, limit = self.paths.run, self.start_within_s
        present = self._present(None, frozenset())
        since, now = act.waits(run), self.clock.now() / 1000
        ahead = {app_id for app_id, at in since.items() if at > now}  # the clock was set back: they wait from now on
        since |= dict.fromkeys(ahead, now)
        absent = {
            each.app_id for each in served if each.app_id in present.listening and each.app_id not in present.accepting
        }
        rested = {app_id for app_id, at in since.items() if now - at >= limit * REST}
        called = {app_id for app_id in absent - since.keys() if self.waiting(self.paths.app_sockets / f"{app_id}.sock")}
        act.set_waits(run, begin=called | (ahead & absent), end=(since.keys() - absent) | rested, now=now)
        ages = {app_id: now - since[app_id] for app_id in (since.keys() & absent) - rested} | dict.fromkeys(called, 0.0)
        over = frozenset(app_id for app_id, age in ages.items() if age >= limit)
        left = [(limit if age < limit else limit * REST) - age for age in ages.values()]
        again_s = min(left, default=CALLED_S if absent else None)
        return replace(present, given_up=over), again_s

    def _expect(self, app_id: str) -> None:
        run = self.paths.run
        act.prepare(run)
        with act.exclusively(run / "routes.lock"):
            scope = Scope(frozenset([app_id]))
            served, _ = self.store.read_here(partial(_read, run, scope))
            act.set_waits(run, begin=[app_id], end=[], now=self.clock.now() / 1000)
            for each in served:
                (act.folder(run, "down") / each.name).unlink(missing_ok=True)


@contextmanager
def _giving_way() -> Iterator[None]:
    """Whoever changes a route beside this reads many files, and waits for the interpreter after each."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _read(run: Path, scope: Scope | None, conn: sa.Connection) -> tuple[list[Served], list[Redirection]]:
    """With a scope, whatever else is a name of its hosts belongs to it: a host is marked by whether it has prefixes."""
    if scope is None:
        rows, redirections = tables.served(conn), tables.redirections(conn)
    else:
        own = [row for app_id in scope.app_ids for row in tables.served(conn, app_id=app_id)]
        hosts = {each.partition("/")[0] for each in (*scope.fqdns, *(row.fqdn for row in own))}
        rows = tables.served(conn, hosts=hosts)
        concerned = tables.redirections(conn) if scope.app_ids or scope.ports else []
        redirections = [each for each in concerned if each.app_id in scope.app_ids or each.port in scope.ports]
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


def _wanted(
    served: Collection[Served],
    redirections: Collection[Redirection],
    presence: Presence,
    seen: Entries,
    *,
    is_whole: bool,
) -> dict[Key, str]:
    wanted = decide.wanted_entries(served, presence, redirections=redirections, slots=caddy.STICKY_SLOTS)
    return wanted | decide.at_once(served, presence, seen, is_whole=is_whole)


def _scope_of(found: Collection[Step]) -> Scope:
    """What these steps are about, whoever has it by now."""
    names, app_ids, ports = set(), set(), set()
    for key in (each.key for each in found):
        if key.tree == "slots":
            app_ids.add(key.name.partition("/")[0])
        elif key.tree == "tcp":
            ports |= {int(key.name)} if key.name.isdecimal() else set()
        else:
            names.add(key.name.rpartition("/")[0] if key.tree == "l" else key.name)
    fqdns = frozenset(map(caddy.fqdn_of, names))
    return Scope(frozenset(app_ids), fqdns, frozenset(ports), frozenset(each.key for each in found))


def _keys(run: Path, scope: Scope, served: Collection[Served], redirections: Collection[Redirection]) -> set[Key]:
    """Every place where something of the scope may stand."""
    names = {caddy.route_name(each) for each in scope.fqdns} | {each.name for each in served}
    kept = act.kept_keys(run, names, "".join(caddy.Mark))
    found = {Key(tree, name) for tree in ("force-https", "routes", "known", "down", "sticky", "s") for name in names}
    found |= {Key(tree, decide.host_of(name)) for tree in ("k", "long") for name in names}
    spread = scope.app_ids | {each.app_id for each in served if each.is_sticky}
    found |= {Key("slots", f"{app_id}/{slot}") for app_id in spread for slot in caddy.STICKY_SLOTS}
    found |= {Key("tcp", str(port)) for port in (*scope.ports, *(each.port for each in redirections))}
    return found | kept | scope.keys


def _kept_flags(seen: Entries, served: Collection[Served], presence: Presence) -> dict[Key, str]:
    """Who was given up stays given up until somebody accepts or is expected."""
    absent = {each.name for each in served if each.app_id not in presence.accepting}
    return {key: "" for key in seen if key.tree == "down" and key.name in absent}
