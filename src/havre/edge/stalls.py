"""Visitors who stall: they hold a connection and never end its handshake, or the headers of a request.

The proxy cuts each of them after 30 s (over HTTP/2 after its 5 minutes for idle ones) and serves the others meanwhile.
Whose app they mean is not known, so the operator is told: once a spell, with how many there were and the addresses that
hold most. Looked at from outside, in two steps: the kernel's table tells who holds connections that were silent for
a while; where these are many the proxy is asked how many have not asked for anything. Visitors over HTTP/3, and
those whose connections a proxy in front carries (`proxy_protocol_from`), are not seen here.
"""

from __future__ import annotations

import ipaddress
import socket
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import anyio.to_thread
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from havre.base.errors import UnavailableError
from havre.drivers import sockdiag
from havre.edge.decide import Spell, decide_spell
from havre.kernel.config import EdgeConfig
from havre.kernel.kernel import Kernel
from havre.kernel.reconcile import Pass

LOOK_S = 10.0
MANY = 100
REST_S = 30.0  # after the proxy has said that it is nobody's fault: idle visitors are many on a busy day
SILENT_MS = range(3_000, 65_000)  # from when nothing is on its way any more to when the proxy has cut whoever stalls
NAMED = 5
log = structlog.get_logger()


class Figures:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.stalled = Gauge("havre_edge_stalled", "Connections on which nobody asks for anything.", registry=registry)
        self.spells = Counter("havre_edge_stalls", "Spells of visitors who stall.", registry=registry)


@dataclass
class Stalls:
    """`count` asks the proxy. `trouble`: in words, while a spell lasts."""

    kernel: Kernel
    count: Callable[[], Awaitable[int]]
    figures: Figures
    trouble: str = ""
    _spell: Spell | None = None
    _rest_until_s: float = field(default=float("-inf"))
    _is_blind: bool = False

    async def look(self) -> Pass:
        now_s, before = self.kernel.clock.monotonic(), self._spell
        silent, stalled = await self._silent(), 0
        if sum(silent.values()) * (1 if before is None else 2) >= MANY and now_s >= self._rest_until_s:
            stalled = await self.count()
            if before is None and stalled < MANY:
                self._rest_until_s = now_s + REST_S
        self.figures.stalled.set(stalled)
        self._spell = decide_spell(before, stalled, many=MANY, now_s=now_s)
        self.trouble = in_words(stalled, silent) if self._spell is not None and stalled else ""
        if self._spell is None:
            if before is not None:
                log.info("edge.visitors.cleared", most=before.most, lasted_s=round(now_s - before.began_at_s))
            return Pass(wanted=0, changed=int(before is not None))
        if before is None:
            await self._tell(stalled, silent)
        return Pass(wanted=stalled, changed=int(before is None))

    async def _silent(self) -> Tally[str]:
        try:
            return await anyio.to_thread.run_sync(partial(silent_visitors, self.kernel.config.edge))
        except UnavailableError:
            if not self._is_blind:
                self._is_blind = True
                log.warning("edge.visitors.unseen")  # this kernel does not tell
            return Tally()

    async def _tell(self, count: int, silent: Tally[str]) -> None:
        most = [{"address": address, "connections": number} for address, number in silent.most_common(NAMED)]
        await self.kernel.store.write(lambda tx: tx.emit("edge.visitors.stalled", count=count, most=most))
        self.figures.spells.inc()
        log.warning("edge.visitors.stalled", count=count, most=most)


def silent_visitors(edge: EdgeConfig) -> Tally[str]:
    """How many connections each address holds on which the proxy has said nothing for a while. Raises
    UnavailableError."""
    ranges = [each.strip() for each in edge.proxy_protocol_from.split(",")]
    carriers = [ipaddress.ip_network(each, strict=False) for each in ranges if each]
    found = Tally(
        each.peer
        for port in (edge.http_port, edge.https_port)
        for family in families(edge.binds)
        for each in sockdiag.connections(port, family)
        if each.silent_ms in SILENT_MS
    )
    for peer in [each for each in found if any(ipaddress.ip_address(each) in one for one in carriers)]:
        del found[peer]
    return found


def families(binds: Iterable[str]) -> Iterator[socket.AddressFamily]:
    """Of the sockets that are listened on; the one for every address of the machine may be either."""
    shown = set(binds)
    if any(":" not in each for each in shown):
        yield socket.AF_INET
    if any(":" in each or not each for each in shown):
        yield socket.AF_INET6


def in_words(count: int, silent: Tally[str]) -> str:
    """What the operator reads."""
    named = ", ".join(f"{address} ({number})" for address, number in silent.most_common(NAMED))
    return (
        f"{count} visitors hold connections and ask for nothing, most of them from {named}; "
        "each is cut after 30 s, over HTTP/2 after 5 minutes"
    )
