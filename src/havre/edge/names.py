"""How the names of an app are: where their DNS leads, what certificate they show."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from havre.edge.certificates.states import CertificateState
from havre.edge.leads import Home, Led, asked_for, decide_lead, is_local
from havre.edge.lookup import UNANSWERED, Lookup
from havre.edge.model import Vhost
from havre.edge.parts import certificates_of
from havre.kernel.config import Config
from havre.kernel.kernel import Kernel

MOST = 50  # names that are looked up for one question


@dataclass(frozen=True, slots=True)
class NameState:
    vhost: Vhost
    dns: Led
    certificate: CertificateState


class Names:
    """Looks at names of one installation."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._lookup = Lookup(kernel.clock, kernel.config.edge.resolver)

    async def states(self, vhosts: Sequence[Vhost]) -> list[NameState]:
        """In the order given. Past the first `MOST` hosts the DNS is not asked: those are unanswered."""
        hosts = list(dict.fromkeys(each.fqdn.partition("/")[0] for each in vhosts))
        certificates = await certificates_of(self._kernel).states(hosts)
        asked = [asked_for(host) for host in hosts[:MOST] if not is_local(host)]
        own = own_names(self._kernel.config) if asked else ()
        found = await self._lookup.of([*asked, *own])
        home = home_of(self._kernel.config, [each for name in own for each in found[name].addresses])
        states = []
        for each in vhosts:
            host = each.fqdn.partition("/")[0]
            said = found.get(asked_for(host), UNANSWERED)
            states.append(NameState(each, decide_lead(host, said, home), certificates[host]))
        return states


def own_names(config: Config) -> tuple[str, ...]:
    """The names of the installation that the world may know it by."""
    origin = urlsplit(config.edge.public_origin).hostname or ""
    return tuple(each for each in (edge_name(config), origin) if each and not is_local(each) and not _is_address(each))


def edge_name(config: Config) -> str:
    """What the records of custom domains may be an alias of."""
    return f"edge.{config.edge.base_domain}"


def home_of(config: Config, resolved: Sequence[str]) -> Home:
    """Where names have to lead: the addresses that we were told to listen on, and where our own names lead."""
    origin = urlsplit(config.edge.public_origin).hostname or ""
    told = [*(each for each in config.edge.binds if each not in ("", "0.0.0.0", "::")), *resolved]
    told += [origin] if _is_address(origin) else []
    addresses = dict.fromkeys(str(ipaddress.ip_address(each)) for each in told if _is_address(each))
    name = edge_name(config)
    return Home("" if is_local(name) else name, tuple(addresses))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
