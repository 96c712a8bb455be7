"""Origin validation (RFC 6811): whether an autonomous system may announce a prefix, and by which VRPs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from havre.network.registries import vrps
from havre.network.registries.vrps import Network, Vrp, Vrps

__all__ = ["State", "Verdict", "state", "validate"]


class State(StrEnum):
    """valid: a VRP allows it. invalid: VRPs cover the prefix and none allows it. unknown: none covers it."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state and its evidence: the VRPs that allow it, and those that cover it and do not."""

    state: State
    allowing: tuple[Vrp, ...] = ()
    others: tuple[Vrp, ...] = ()

    def __str__(self) -> str:
        if self.state is State.VALID:
            return f"valid by {self.allowing[0]}"
        if self.state is State.UNKNOWN:
            return "unknown: no ROA covers it"
        return f"invalid: covered by {'; '.join(map(str, self.others))}"


def state(table: Vrps, family: int, key: int, origin: int) -> State:
    """The state alone, for many routes. `key`: as `havre.drivers.rtr.pdus` has it.

    An origin of 0 is never valid (RFC 6483, 4; RFC 7607): a ROA for AS 0 says that nobody may announce.
    """
    found, length = State.UNKNOWN, key.bit_length() - 1
    for _, value in table.covering(family, key):
        if value >> 8 == origin and origin and length <= value & 255:
            return State.VALID
        found = State.INVALID
    return found


def validate(table: Vrps, prefix: Network, origin: int) -> Verdict:
    """The state of `prefix` announced by `origin`, with its evidence."""
    key = vrps.key(prefix)
    covering = [
        Vrp(vrps.network(prefix.version, key >> (prefix.prefixlen - length)), value & 255, value >> 8)
        for length, value in table.covering(prefix.version, key)
    ]
    allowing = tuple(each for each in covering if each.asn == origin != 0 and prefix.prefixlen <= each.max_length)
    others = tuple(each for each in covering if each not in allowing)
    return Verdict(State.VALID if allowing else State.INVALID if others else State.UNKNOWN, allowing, others)
