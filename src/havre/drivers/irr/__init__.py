"""The driver of Internet routing registries: questions in the IRRd protocol and in RIPE's whois, and RPSL as text."""

from __future__ import annotations

from havre.base.errors import InvalidError
from havre.drivers.irr.irrd import Irrd
from havre.drivers.irr.model import Endpoint, Network, Registry
from havre.drivers.irr.rpsl import RpslObject
from havre.drivers.irr.whois import Whois

__all__ = ["PROTOCOLS", "Endpoint", "Irrd", "Network", "Registry", "RpslObject", "Whois", "registry"]
PROTOCOLS = ("irrd", "whois")


def registry(protocol: str, endpoint: Endpoint) -> Registry:
    """The registry at `endpoint`, asked in the protocol that it speaks. Raises InvalidError for another protocol."""
    if protocol not in PROTOCOLS:
        raise InvalidError(f"{protocol!r} is not a registry's protocol: {' or '.join(PROTOCOLS)}")
    return Irrd(endpoint) if protocol == "irrd" else Whois(endpoint)
