"""Where a registry is, and what may be asked of it, in whichever protocol it speaks."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from havre.base.errors import InvalidError
from havre.drivers.irr.rpsl import RpslObject

__all__ = ["Endpoint", "Registry", "asn_word", "prefix_word", "set_word", "source_word"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
SET = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9_-]{0,62}:){0,16}[A-Za-z][A-Za-z0-9_-]{0,78}")
ASN = re.compile(r"[Aa][Ss][0-9]{1,10}")
SOURCE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9:./_-]{0,200}")


@dataclass(frozen=True)
class Endpoint:
    """A registry's server. `sources`: what is asked there, in the order in which it counts; empty means its default.

    connect_s: for the connection; quiet_s: how long it may say nothing; limit_s: for one call, whatever it does. A
    large as-set takes minutes at some registries, so that silence, and not the whole, is what ends a call.
    """

    host: str
    port: int = 43
    sources: tuple[str, ...] = ()
    connect_s: float = 10.0
    quiet_s: float = 60.0
    limit_s: float = 600.0
    most_bytes: int = 64 * 1024 * 1024

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" + (f" ({','.join(self.sources)})" if self.sources else "")


class Registry(Protocol):
    """What both protocols answer. Every call raises UnavailableError when the server does not answer as it should,
    InvalidError when it refuses the question, DeniedError when it refuses us.
    """

    @property
    def endpoint(self) -> Endpoint: ...

    async def prefixes(self, origins: Sequence[str], *, family: int) -> dict[str, tuple[Network, ...]]:
        """The prefixes of the route objects of each origin (`AS64500`); empty where it has none."""
        ...

    async def members(self, names: Sequence[str]) -> dict[str, tuple[str, ...] | None]:
        """The direct members of each as-set, upper case, with those that refer to it; None: there is no such set."""
        ...

    async def origins(self, prefix: Network) -> tuple[str, ...]:
        """The origins of the route objects at exactly this prefix."""
        ...

    async def object(self, kind: str, key: str) -> RpslObject | None:
        """The object of that class and key; of several sources, that of the first."""
        ...


def asn_word(text: str) -> str:
    """`AS64500`, as registries write it. Raises InvalidError for what is no autonomous system."""
    word = text.strip().upper()
    if not ASN.fullmatch(word) or int(word[2:]) >= 2**32:
        raise InvalidError(f"{text[:40]!r} is not an autonomous system such as AS64500")
    return f"AS{int(word[2:])}"


def set_word(text: str) -> str:
    """The name of a set in upper case. Raises InvalidError for what cannot be one: it is sent as a line."""
    word = text.strip().upper()
    parts = word.split(":")
    if not SET.fullmatch(word) or not any(part.startswith(("AS-", "RS-")) for part in parts):
        raise InvalidError(f"{text[:80]!r} is not the name of a set such as AS-EXAMPLE or AS64500:AS-CUSTOMERS")
    return word


def source_word(text: str) -> str:
    if not SOURCE.fullmatch(text.strip()):
        raise InvalidError(f"{text[:40]!r} is not the name of a source such as RIPE")
    return text.strip().upper()


def key_word(text: str) -> str:
    if not KEY.fullmatch(text.strip()):
        raise InvalidError(f"{text[:80]!r} is not the key of an object")
    return text.strip()


def prefix_word(text: str) -> Network | None:
    """A prefix from a registry's answer; None for what is none, which registries do have."""
    try:
        return ipaddress.ip_network(text.strip())
    except ValueError:
        return None
