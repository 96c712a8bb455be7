"""Lists of prefixes and of the lengths allowed inside each, as short as they can be without saying more. Pure.

An entry `198.51.100.0/22, 23..24` allows every /23 and /24 inside that /22. Aggregation is exact: the same routes pass
before and after it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from havre.drivers.rtr import pdus
from havre.network.registries import vrps
from havre.network.registries.vrps import Network

__all__ = ["Entry", "aggregate", "allows"]


@dataclass(frozen=True, slots=True)
class Entry:
    """Everything inside `prefix` whose length is from `low` to `high`."""

    prefix: Network
    low: int
    high: int

    @property
    def is_exact(self) -> bool:
        return self.low == self.high == self.prefix.prefixlen

    def bird(self) -> str:
        """As BIRD has it in a set of prefixes."""
        return str(self.prefix) if self.is_exact else f"{self.prefix}{{{self.low},{self.high}}}"

    def frr(self) -> str:
        """As FRR has it after `permit`; `ge` is left out where it says nothing."""
        if self.is_exact:
            return str(self.prefix)
        least = f" ge {self.low}" if self.low > self.prefix.prefixlen else ""
        return f"{self.prefix}{least} le {self.high}"

    def __str__(self) -> str:
        return self.bird()

    @classmethod
    def parse(cls, text: str) -> Entry:
        """What `bird` wrote. Raises ValueError."""
        prefix, brace, lengths = text.partition("{")
        network = ipaddress.ip_network(prefix)
        if not brace:
            return cls(network, network.prefixlen, network.prefixlen)
        low, _, high = lengths.rstrip("}").partition(",")
        made = cls(network, int(low), int(high))
        if not network.prefixlen <= made.low <= made.high <= network.max_prefixlen:
            raise ValueError(f"{text} allows no length")
        return made


def aggregate(prefixes: Iterable[Network], *, up_to: int = 0) -> tuple[Entry, ...]:
    """The shortest entries that allow exactly these prefixes, all of one family, and with `up_to` what is inside them
    to that length.

    Each prefix has the set of lengths that are allowed wholly inside it, as the bits of a number. What both halves of a
    prefix allow, the prefix allows; what a wider prefix allows, nothing inside it needs to say.
    """
    allowed: dict[int, int] = {}
    family = 4
    for prefix in prefixes:
        family, length = prefix.version, prefix.prefixlen
        bits = (1 << max(up_to, length) + 1) - (1 << length)
        key = vrps.key(prefix)
        allowed[key] = allowed.get(key, 0) | bits
    _join(allowed, family)
    _strip(allowed)
    ordered = sorted(
        (pdus.address_of(family, key), pdus.length_of(key), low, high, key)
        for key, bits in allowed.items()
        for low, high in _ranges(bits)
    )
    return tuple(Entry(vrps.network(family, key), low, high) for _, _, low, high, key in ordered)


def allows(entries: Iterable[Entry], prefix: Network) -> bool:
    """Whether `prefix` passes."""
    return any(
        each.low <= prefix.prefixlen <= each.high
        and each.prefix.version == prefix.version
        and each.prefix.supernet_of(prefix)  # type: ignore[arg-type]
        for each in entries
    )


def _join(allowed: dict[int, int], family: int) -> None:
    """Move up what both halves allow, the longest first."""
    by_length: dict[int, list[int]] = {}
    for key in allowed:
        by_length.setdefault(pdus.length_of(key), []).append(key)
    for length in range(pdus.WIDTH[family], 0, -1):
        for key in by_length.get(length, ()):
            shared = allowed.get(key, 0) & allowed.get(key ^ 1, 0)
            if not shared:
                continue
            parent = key >> 1
            if parent not in allowed:
                by_length.setdefault(length - 1, []).append(parent)
            allowed[parent] = allowed.get(parent, 0) | shared
            for half in (key, key ^ 1):
                allowed[half] &= ~shared


def _strip(allowed: dict[int, int]) -> None:
    """Take away what something wider allows already."""
    lengths = sorted({pdus.length_of(key) for key, bits in allowed.items() if bits})
    for key in list(allowed):
        own = pdus.length_of(key)
        for length in lengths:
            if length >= own:
                break
            allowed[key] &= ~allowed.get(key >> (own - length), 0)


def _ranges(bits: int) -> Iterator[tuple[int, int]]:
    """The runs of ones, as first and last."""
    at = 0
    while bits:
        skipped = (bits & -bits).bit_length() - 1
        bits >>= skipped
        at += skipped
        run = (~bits & (bits + 1)).bit_length() - 1
        yield at, at + run - 1
        bits >>= run
        at += run
