"""Asks the resolver where names lead: a few at once, for seconds at most; what was said is kept for seconds."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio

from havre.base.errors import InvalidError
from havre.edge.leads import Found
from havre.kernel.clock import Clock

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

LOOK_UP_S, ALL_S = 3.0, 6.0
AT_ONCE, KEPT_S, MOST = 8, 10.0, 1000
UNANSWERED = Found("unanswered")


def open_resolver(resolver: str, *, limit_s: float) -> Resolver:
    """resolver: name servers `address[:port]`, by commas; empty: the host's. Raises InvalidError naming the setting."""
    from dns.asyncresolver import Resolver

    made = Resolver(configure=not resolver)
    if resolver:
        made.nameservers, made.port = servers_of(resolver)
    made.lifetime = limit_s
    return made


class Lookup:
    """What the resolver says of hosts. A host is looked up, and nothing at its addresses is ever spoken to."""

    def __init__(self, clock: Clock, resolver: str) -> None:
        self._clock, self._resolver = clock, resolver
        self._limiter = anyio.CapacityLimiter(AT_ONCE)
        self._kept: dict[str, tuple[float, Found]] = {}

    async def of(self, hosts: Collection[str]) -> dict[str, Found]:
        """Within `ALL_S`; whoever was not heard of by then is unanswered."""
        now = self._clock.monotonic()
        kept = {host: self._kept[host] for host in hosts if host in self._kept}
        found = {host: said for host, (at, said) in kept.items() if now - at < KEPT_S}
        with anyio.move_on_after(ALL_S):
            async with anyio.create_task_group() as group:
                for host in set(hosts) - found.keys():
                    group.start_soon(self._into, found, host)
        return {host: found.get(host, UNANSWERED) for host in hosts}

    async def _into(self, found: dict[str, Found], host: str) -> None:
        async with self._limiter:
            said = found[host] = await look_up(open_resolver(self._resolver, limit_s=LOOK_UP_S), host)
        if len(self._kept) >= MOST:
            self._kept.clear()
        self._kept[host] = (self._clock.monotonic(), said)


async def look_up(resolver: Resolver, host: str) -> Found:
    """The addresses of a host, of both families."""
    from dns import exception
    from dns import resolver as answers

    addresses: list[str] = []
    cname, is_silent = "", False
    for kind in ("A", "AAAA"):
        try:
            answer = await resolver.resolve(host, kind, search=False, raise_on_no_answer=False)
        except answers.NXDOMAIN:
            return Found("nowhere")
        except exception.DNSException:
            is_silent = True
            continue
        last = answer.canonical_name.to_text(omit_final_dot=True).lower()
        cname = cname or (last if last != host.lower() else "")
        addresses += [record.address for record in answer.rrset or ()]
    if addresses:
        return Found("found", tuple(addresses), cname)
    return UNANSWERED if is_silent else Found("nowhere", cname=cname)


def servers_of(text: str) -> tuple[list[str], int]:
    """The addresses and the port of `address[:port]`, by commas; an IPv6 address with a port stands in brackets.
    Raises InvalidError naming the setting."""
    hosts: list[str] = []
    ports: set[int] = set()
    for each in (part.strip() for part in text.split(",")):
        try:
            seen = urlsplit(f"//[{each}]" if each.count(":") > 1 and "[" not in each else f"//{each}")
            hosts.append(str(ipaddress.ip_address(seen.hostname or "")))
            ports |= {seen.port or 53}
        except ValueError:
            raise InvalidError(
                f"the setting edge.resolver has {each!r}; name servers are addresses: 192.0.2.53, [2001:db8::53]:53"
            ) from None
    if len(ports) > 1:
        raise InvalidError("the setting edge.resolver names more than one port")
    return hosts, ports.pop()
