"""Events become deliveries, each once; deliveries are tried until they arrive or are given up."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import anyio
import sqlalchemy as sa
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from havre import governance
from havre.base.errors import HavreError, UnavailableError
from havre.drivers.outbound import Outbound
from havre.drivers.smtp import Server
from havre.kernel.events import EVENT, events_after
from havre.kernel.kernel import Kernel
from havre.kernel.reconcile import Pass
from havre.kernel.store import Tx
from havre.notifications import decide, tables
from havre.notifications.model import Delivery, Hook, PublicEvent, State

log = structlog.get_logger()
AT_ONCE = 16
KEPT_MS = 30 * 86_400_000
NameOf = Callable[[sa.Connection, str], str]  # what people call the thing with that id


class Figures:
    """The room's metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sent = Counter("havre_notifications_deliveries", "Tries to deliver.", ["result"], registry=registry)
        self.waiting = Gauge("havre_notifications_waiting", "Deliveries that wait.", registry=registry)


class Delivering:
    def __init__(self, kernel: Kernel, *, name_of: NameOf) -> None:
        self._kernel = kernel
        self._name_of = name_of
        self._outbound = Outbound(kernel.config.allows_loopback)
        mail = kernel.config.mail
        self._server = (
            Server(mail.host, mail.port, mail.sender, mail.tls, mail.username, mail.password_file)
            if mail.host
            else None
        )
        self._figures = Figures(kernel.metrics)

    async def write_down(self) -> Pass:
        """Deliveries for the events since the last pass, in the transaction that remembers how far it came."""
        written = 0
        while True:
            seen, count = await self._kernel.store.write(self._write_some)
            written += count
            if not seen:
                return Pass(changed=written)

    def _write_some(self, tx: Tx) -> tuple[int, int]:
        last = tables.read_up_to(tx.conn)
        if last is None:  # the first start: what happened before there were hooks concerns none
            newest = tx.conn.execute(sa.select(sa.func.max(EVENT.c.seq))).scalar_one_or_none() or 0
            tables.set_read_up_to(tx, newest)
            return 0, 0
        events = events_after(tx.conn, last, limit=200)
        hooks: dict[str, list[Hook]] = {}
        count = 0
        for event in events:
            for public in decide.public_events(event):
                if public.owner_id is None:
                    continue
                if public.owner_id not in hooks:
                    hooks[public.owner_id] = tables.hooks_of(tx.conn, public.owner_id)
                for hook in hooks[public.owner_id]:
                    if event.at >= hook.created_at and decide.concerns(hook, public):
                        count += self._write_one(tx, hook, public)
        if events:
            tables.set_read_up_to(tx, events[-1].seq)
        return len(events), count

    def _write_one(self, tx: Tx, hook: Hook, event: PublicEvent) -> int:
        name = self._name_of(tx.conn, event.subject) or event.subject
        common = {"hook_id": hook.id, "owner_id": hook.owner_id, "kind": hook.kind}
        if hook.kind == "webhook":
            for each in hook.targets:
                content = {"body": decide.body(each["format"], event, name)}
                tables.insert_delivery(tx, **common, to=each["url"], content=content)
            return len(hook.targets)
        said = decide.sentence(event, name)
        text = f"{said}\n\n{json.dumps(decide.raw(event), indent=2)}\n\nYou are told because of {hook.name!r}."
        people = self._addresses(tx.conn, hook.owner_id, hook.targets)
        for address in people:
            tables.insert_delivery(tx, **common, to=address, content={"subject": said, "text": text})
        return len(people)

    def _addresses(self, conn: sa.Connection, owner_id: str, targets: Sequence[Mapping[str, str]]) -> list[str]:
        members = {row.id: str(row.email) for row in governance.members_of(conn, owner_id)}
        found: list[str] = []
        for each in targets:
            if each["type"] == "email":
                found.append(each["target"])
            elif each["type"] == "userid":
                found += [members[each["target"]]] if each["target"] in members else []
            else:
                found += members.values()
        return list(dict.fromkeys(found))

    async def deliver(self) -> Pass:
        """Try what is due, many at once. Without a mail server letters wait."""
        kernel = self._kernel
        now, with_mail = kernel.clock.now(), self._server is not None
        found = await kernel.store.read(lambda conn: tables.due(conn, now=now, limit=200, with_mail=with_mail))
        limiter = anyio.CapacityLimiter(AT_ONCE)
        async with anyio.create_task_group() as group:
            for each in found:
                group.start_soon(self._try, each, limiter)
        self._figures.waiting.set(await kernel.store.read(tables.waiting))
        soonest = await kernel.store.read(lambda conn: tables.next_at(conn, with_mail=with_mail))
        pause = max(0.2, (soonest - kernel.clock.now()) / 1000) if soonest is not None else None
        return Pass(wanted=len(found), changed=len(found), again_s=pause)

    async def _try(self, delivery: Delivery, limiter: anyio.CapacityLimiter) -> None:
        async with limiter:
            error = ""
            try:
                await self._send(delivery)
            except HavreError as cause:
                error = cause.message
        self._figures.sent.labels("failed" if error else "sent").inc()
        await self._kernel.store.write(partial(self._end, delivery, error))

    def _end(self, delivery: Delivery, error: str, tx: Tx) -> None:
        tries = delivery.tries + 1
        if not error:
            tables.update_delivery(tx, delivery.id, state=State.SENT, tries=tries, error="", ended_at=tx.now)
            return
        wait = decide.next_try_ms(tries)
        ended: dict[str, Any] = (
            {"state": State.FAILED, "ended_at": tx.now} if wait is None else {"next_at": tx.now + wait}
        )
        tables.update_delivery(tx, delivery.id, tries=tries, error=error[:400], **ended)
        if wait is None:
            log.warning("notifications.delivery.given_up", delivery=delivery.id, hook=delivery.hook_id, error=error)

    async def _send(self, delivery: Delivery) -> None:
        content = delivery.content
        if delivery.kind == "webhook":
            packed = json.dumps(content["body"], ensure_ascii=False).encode()
            headers = {"content-type": "application/json"}
            await self._outbound.post(delivery.to, packed, headers=headers)
            return
        if self._server is None:
            raise UnavailableError("no mail server is set ([mail] host)")
        await self._server.send(to=delivery.to, subject=content["subject"], text=content["text"])

    async def forget(self) -> Pass:
        forgotten = await self._kernel.store.write(lambda tx: tables.forget_deliveries(tx, before=tx.now - KEPT_MS))
        return Pass(changed=forgotten)


def wakes() -> tuple[str, ...]:
    """The events at which there may be something to write down."""
    return ("apps.app.", "apps.deployment.began", "apps.deployment.ended", "governance.", "notifications.")
