"""Sizes of an instance: the names and figures of Clever Cloud's public price list.

Source: the public documentation's table of flavors; the CLI validates the names on its side.
"""

from __future__ import annotations

from dataclasses import dataclass

from havre.base.errors import InvalidError


@dataclass(frozen=True, slots=True)
class Flavor:
    """One size. `is_shared` flavors (pico, nano) yield the processor to the others."""

    name: str
    memory_mib: int
    cpus: int
    price_per_h: float
    is_shared: bool = False

    @property
    def memory_bytes(self) -> int:
        return self.memory_mib * 1024 * 1024


FLAVORS: tuple[Flavor, ...] = (
    Flavor("pico", 256, 1, 0.107, is_shared=True),
    Flavor("nano", 512, 1, 0.143, is_shared=True),
    Flavor("XS", 1024, 1, 0.344),
    Flavor("S", 2048, 2, 0.687),
    Flavor("M", 4096, 4, 1.718),
    Flavor("L", 8192, 6, 3.436),
    Flavor("XL", 16384, 8, 6.873),
    Flavor("2XL", 24576, 12, 13.746),
    Flavor("3XL", 32768, 16, 27.492),
)
_BY_NAME = {flavor.name.lower(): flavor for flavor in FLAVORS}


def flavor(name: str) -> Flavor:
    """Return the flavor of that name, in any case. Raises InvalidError naming those that exist."""
    try:
        return _BY_NAME[name.lower()]
    except KeyError:
        known = ", ".join(each.name for each in FLAVORS)
        raise InvalidError(f"there is no flavor {name!r}; the flavors are {known}") from None


def rank(name: str) -> int:
    """Position in the list, smallest first."""
    return FLAVORS.index(flavor(name))
