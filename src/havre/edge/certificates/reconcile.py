"""Brings what each host shows to the best certificate there is, orders what is missing, and watches the ends."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import sqlalchemy as sa
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from havre.base.errors import HavreError, UnavailableError
from havre.base.secret import Secret
from havre.drivers import acme
from havre.drivers.x509 import Authority, Checked, Root
from havre.edge.act import exclusively
from havre.edge.certificates import act, decide, intents, tables
from havre.edge.certificates.act import DAY_MS, Places, Wanted
from havre.edge.certificates.model import Alarm, Certificate, Order, Site
from havre.edge.certificates.states import CertificateState, Leaf, decide_state
from havre.kernel.clock import Clock
from havre.kernel.reconcile import Pass
from havre.kernel.store import Store, Tx

AT_ONCE = 4  # orders under way
ORDER_S = 120.0
Chosen = dict[Site, Certificate | None]
log = structlog.get_logger()


class Figures:
    """The metrics of certificates."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.shown = Gauge("havre_edge_certificates", "Hosts with a certificate of somebody.", registry=registry)
        self.orders = Counter(
            "havre_edge_certificate_orders", "Orders at the certificate authority.", ["result"], registry=registry
        )
        self.ending = Gauge("havre_edge_certificates_ending", "Certificates whose end is near.", registry=registry)


@dataclass(frozen=True)
class Platform:
    """The platform's own hosts: `names` share one internal leaf; `wildcard` covers the names below the base domain."""

    hosts: tuple[str, ...]
    names: tuple[str, ...]
    wildcard: Site | None

    @property
    def sites(self) -> list[Site]:
        return [Site(host) for host in self.hosts]


@dataclass(frozen=True)
class Situation:
    """What is read from the database at once."""

    sites: list[Site]
    certificates: list[Certificate]
    orders: dict[str, Order]


@dataclass
class Certificates:
    """The loops of certificates. `read_sites`: the hosts of vhosts, all or those asked for."""

    store: Store
    clock: Clock
    rng: random.Random
    places: Places
    platform: Platform
    authority: Authority
    directory: acme.Directory | None
    read_sites: Any  # (Connection, hosts | None) -> list[Site]
    doubted: Callable[[], int]  # what the time is if the clock has jumped ahead
    figures: Figures | None = None

    async def sync(self) -> Pass:
        """One pass over all hosts: show, hide, tell of ends, forget what nobody has any more."""
        with contextlib.suppress(UnavailableError):  # the alarm tells it
            if await anyio.to_thread.run_sync(partial(self.authority.keep, now=self.clock.now())):
                log.warning("edge.authority.renewed", folder=str(self.authority.folder))
        situation, chosen, changed = await anyio.to_thread.run_sync(partial(self._pass, None, self.doubted()))
        await self._tell(situation, chosen)
        await self._forget(situation)
        if self.figures is not None:
            self.figures.shown.set(sum(1 for each in chosen.values() if each is not None))
        now = self.clock.now()
        again = decide.next_change_at(situation.certificates, now=now)
        return Pass(len(chosen), changed, None if again is None else max(0.05, (again - now) / 1000))

    async def ensure(self, hosts: Collection[str]) -> None:
        """Have these hosts show the right certificate before returning; what is gone is hidden by the next pass."""
        await anyio.to_thread.run_sync(partial(self._pass, frozenset(hosts), self.doubted()))

    async def orders(self) -> Pass:
        """One pass: order what is due, a few at once; each order that fails is tried again later, for ever."""
        if self.directory is None:
            return Pass()
        situation = await self.store.read(self._read)
        now = self.clock.now()
        chosen = decide.choose(situation.sites, situation.certificates, now=now)
        due = decide.decide_orders(chosen, situation.orders, now=now)
        limiter = anyio.CapacityLimiter(AT_ONCE)
        async with anyio.create_task_group() as group:
            for host in due:
                group.start_soon(self._order, host, situation.orders.get(host, Order(host)), limiter)
        if due:
            await self.sync()
        situation = await self.store.read(self._read)
        chosen = decide.choose(situation.sites, situation.certificates, now=self.clock.now())
        again = decide.next_order_at(chosen, situation.orders)
        wait_s = None if again is None else max(0.2, (again - self.clock.now()) / 1000)
        return Pass(wanted=len(chosen), changed=len(due), again_s=wait_s)

    async def alarm(self) -> str:
        """The most urgent trouble in one line; empty when there is none. Raises UnavailableError when the internal
        authority cannot be read."""
        now, root = self.clock.now(), await anyio.to_thread.run_sync(self.authority.root)
        situation = await self.store.read(self._read)
        chosen = decide.choose(situation.sites, situation.certificates, now=now)
        alarms = decide.decide_alarms(situation.certificates, chosen, now=now)
        return _line(alarms[0], situation.orders, now) if alarms else _line_of_root(root, now)

    async def states(self, hosts: Collection[str]) -> dict[str, CertificateState]:
        """What each of these hosts shows, and what is being done about another."""

        def look(conn: sa.Connection) -> tuple[Situation, dict[str, Order]]:
            return self._read(conn, hosts), tables.orders(conn)

        situation, orders = await self.store.read(look)
        now, issuer = self.clock.now(), (await anyio.to_thread.run_sync(self.authority.root)).name
        chosen = decide.choose(situation.sites, situation.certificates, now=now, doubted=self.doubted())
        sites = {site.host: site for site in situation.sites}
        found = {}
        for host in hosts:
            site = sites.get(host, Site(host))
            leaf = Leaf(issuer, await anyio.to_thread.run_sync(self._end_of_leaf, site))
            has_authority = self.directory is not None
            found[host] = decide_state(
                site, chosen.get(site), orders.get(host), leaf, has_authority=has_authority, now=now
            )
        return found

    # inside

    def _end_of_leaf(self, site: Site) -> int | None:
        """Of the internal leaf of a site; of the platform's wildcard's, where that shows the same."""
        files = [site.file, *([self.platform.wildcard.file] if self.platform.wildcard is not None else [])]
        targets = act.seen(self.places, files)
        return next((act.end_of_leaf(targets[each]) for each in files if each in targets), None)

    def _read(self, conn: sa.Connection, hosts: Collection[str] | None = None) -> Situation:
        """Everything, or what concerns `hosts`."""
        if hosts is None:
            sites = [*self.platform.sites, *self.read_sites(conn, None)]
            return Situation(list(dict.fromkeys(sites)), tables.certificates(conn), tables.orders(conn))
        wildcards = [self.platform.wildcard] if self.platform.wildcard is not None else []
        sites = [*self.read_sites(conn, hosts), *wildcards]
        return Situation(sites, tables.covering(conn, [site.host for site in sites]), {})

    def _pass(self, hosts: Collection[str] | None, doubted: int) -> tuple[Situation, Chosen, int]:
        """Read and show, while no other pass does: an older view must not be carried out later."""
        self.places.prepare()
        with exclusively(self.places.shown.parent / "certificates.lock"):
            situation = self.store.read_here(partial(self._read, hosts=hosts))
            now = self.clock.now()
            chosen = decide.choose(situation.sites, situation.certificates, now=now, doubted=doubted)
            changed = self._show(self._wanted(chosen), hides=hosts is None, now=now, doubted=doubted)
        return situation, chosen, changed

    def _wanted(self, chosen: Chosen) -> Wanted:
        """Without the hosts for which the platform's wildcard shows the same."""
        wild = self.platform.wildcard
        found: dict[Site, tuple[Certificate | None, tuple[str, ...]]] = {}
        for site, certificate in chosen.items():
            is_platform = site.host in self.platform.hosts
            covered = wild is not None and site.host.partition(".")[2] == wild.host.removeprefix("*.")
            if covered and not is_platform and wild is not None and certificate == chosen.get(wild):
                continue
            found[site] = (certificate, self.platform.names if is_platform else (site.host,))
        return found

    def _show(self, wanted: Wanted, *, hides: bool, now: int, doubted: int) -> int:
        names = None if hides else [site.file for site in wanted]
        now_shown = act.seen(self.places, names)
        needed = act.unwritten(wanted, now_shown)
        material = self.store.read_here(partial(_material, needed)) if needed else {}
        gone = needed - set(material)  # removed meanwhile: the event of it wakes another pass
        kept = {site: each for site, each in wanted.items() if each[0] is None or each[0].id not in gone}
        changed = act.show(
            self.places, kept, now_shown, material=material, authority=self.authority, now=now, doubted=doubted
        )
        if hides:
            strangers = now_shown.keys() - {site.file for site in wanted}
            for name in strangers:
                act.hide(self.places, name)
            act.collect(self.places)
            changed += len(strangers)
        return changed

    async def _order(self, host: str, before: Order, limiter: anyio.CapacityLimiter) -> None:
        assert self.directory is not None
        async with limiter:
            directory = self.directory
            account = await self._account(directory)
            place = partial(
                acme.order,
                directory,
                account,
                host,
                put_token=partial(act.put_token, self.places),
                drop_token=partial(act.drop_token, self.places),
                limit_s=ORDER_S,
            )
            try:
                issued = await anyio.to_thread.run_sync(place, abandon_on_cancel=True)
                look = partial(self.authority.notary.check, issued.chain, issued.key.reveal(), now=self.clock.now())
                checked = await anyio.to_thread.run_sync(look)
            except HavreError as error:
                await self._order_failed(before, error.message)
                return
        after = replace(account, uri=issued.account_uri)
        await self.store.write(partial(_issued, self.read_sites, host, checked, directory.url, after))
        log.info("edge.certificate.issued", host=host, not_after=checked.not_after)
        if self.figures is not None:
            self.figures.orders.labels("issued").inc()

    async def _order_failed(self, before: Order, error: str) -> None:
        after = decide.after_failure(before, error, now=self.clock.now(), chance=self.rng.random())

        def work(tx: Tx) -> None:
            tables.put_order(tx.conn, after)
            facts: dict[str, Any] = {"error": error[:300], "failures": after.failures}
            owner_id = _owner(self.read_sites, tx.conn, after.host)
            tx.emit("edge.certificate.failed", owner_id=owner_id, subject=after.host[:80], **facts)

        await self.store.write(work)
        log.warning("edge.certificate.failed", host=after.host, error=error, next_at=after.next_at)
        if self.figures is not None:
            self.figures.orders.labels("failed").inc()

    async def _account(self, directory: acme.Directory) -> acme.Account:
        if (known := await self.store.read(lambda conn: tables.account(conn, directory.url))) is not None:
            return known
        made = acme.Account(await anyio.to_thread.run_sync(acme.new_key))

        def work(tx: Tx) -> acme.Account:
            known = tables.account(tx.conn, directory.url)
            if known is None:
                tables.put_account(tx.conn, directory.url, made)
            return known or made

        return await self.store.write(work)

    async def _tell(self, situation: Situation, chosen: Chosen) -> None:
        """Each level of each alarm once, as an event."""
        alarms = decide.decide_alarms(situation.certificates, chosen, now=self.clock.now())
        if self.figures is not None:
            self.figures.ending.set(len(alarms))
        for alarm in alarms:
            if alarm.level > alarm.certificate.warned:
                await self.store.write(partial(_warned, alarm))
                facts = {"hosts": alarm.hosts, "alarm": alarm.level, "not_after": alarm.certificate.not_after}
                log.warning("edge.certificate.expiring", certificate=alarm.certificate.id, **facts)

    async def _forget(self, situation: Situation) -> None:
        """Ordered certificates and failed tries of hosts that are not served any more, and what was renewed."""
        hosts = {site.host for site in situation.sites}
        acme_made = [each for each in situation.certificates if each.kind == "acme"]
        newest = {each.names: each.id for each in sorted(acme_made, key=lambda each: (each.not_after, each.id))}
        gone = [each.id for each in acme_made if not hosts & set(each.names) or newest[each.names] != each.id]
        left = [host for host in situation.orders if host not in hosts]
        if gone or left:
            await self.store.write(partial(_forget, gone, left))


def _material(ids: Iterable[str], conn: sa.Connection) -> dict[str, Secret]:
    found = {id: tables.material(conn, id) for id in ids}
    return {id: text for id, text in found.items() if text is not None}


def _owner(read_sites: Any, conn: sa.Connection, host: str) -> str | None:
    """Whose host it is; None for the platform's own."""
    return next((site.owner_id for site in read_sites(conn, [host])), None)


def _issued(read_sites: Any, host: str, checked: Checked, directory: str, account: acme.Account, tx: Tx) -> None:
    made = intents.keep(tx, checked, kind="acme", owner_id=None)
    tables.drop_order(tx.conn, host)
    tables.put_account(tx.conn, directory, account)
    facts: dict[str, Any] = {"certificate": made.id, "not_after": made.not_after}
    tx.emit("edge.certificate.issued", owner_id=_owner(read_sites, tx.conn, host), subject=host[:80], **facts)


def _warned(alarm: Alarm, tx: Tx) -> None:
    each = alarm.certificate
    tables.set_warned(tx.conn, each.id, alarm.level)
    names, hosts = list(each.names), list(alarm.hosts)
    tx.emit(
        "edge.certificate.expiring",
        owner_id=each.owner_id,
        subject=each.id,
        level=alarm.level,
        names=names,
        hosts=hosts,
        not_after=each.not_after,
    )


def _forget(ids: list[str], hosts: list[str], tx: Tx) -> None:
    for id in ids:
        tables.delete(tx.conn, id)
    for host in hosts:
        tables.drop_order(tx.conn, host)


def _line_of_root(root: Root, now: int) -> str:
    """A root is made anew by itself; whoever installed the one before has to install it."""
    if now < root.not_before:
        return "the root of the internal certificate authority has not begun: it is made anew within minutes"
    days = (root.not_after - now) // DAY_MS
    told = "a new one is made by itself a month before; give it to whoever installed this one"
    return f"the root of the internal certificate authority ends in {days} days: {told}" if days < 90 else ""


def _line(alarm: Alarm, orders: dict[str, Order], now: int) -> str:
    each = alarm.certificate
    name = alarm.hosts[0] if alarm.hosts else each.names[0]
    days = (each.not_after - now) // DAY_MS
    when = "has ended" if alarm.level == 3 else f"ends in {days} days" if days else "ends within a day"
    why = next((f" (last try: {orders[host].error})" for host in each.names if host in orders), "")
    todo = "upload a new one" if each.kind == "own" else "it could not be renewed"
    return f"the certificate of {name} {when}: {todo}{why}"
