"""Which ROAs our announcements need, and what is wrong with those there are (RFC 6811, RFC 9319). Pure.

A ROA allows exactly the length that is announced: a looser one lets anybody who forges our number announce a part of
our prefix and be valid. While a migration goes on both origins have theirs, the new one first; the old one is the last
to go.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from havre.network.model import Intent
from havre.network.registries import origins
from havre.network.registries.vrps import Network, Vrp, Vrps

__all__ = ["Plan", "RoaIntent", "compare", "krill", "wanted"]


@dataclass(frozen=True, slots=True, order=True)
class RoaIntent:
    """A ROA that should be."""

    prefix: Network
    max_length: int
    asn: int
    why: str = ""

    @property
    def vrp(self) -> Vrp:
        return Vrp(self.prefix, self.max_length, self.asn)

    def __str__(self) -> str:
        return f"{self.prefix} maxLength {self.max_length} AS{self.asn}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What separates the ROAs there are from those that should be.

    loose: ours, and allow more than is announced. nobody: VRPs of AS 0 that cover us. others: of systems that are
    neither our old nor our new origin. superfluous: of ours or the old origin, and wanted no more.
    """

    missing: tuple[RoaIntent, ...]
    present: tuple[RoaIntent, ...]
    loose: tuple[Vrp, ...]
    nobody: tuple[Vrp, ...]
    others: tuple[Vrp, ...]
    superfluous: tuple[Vrp, ...]


def wanted(intent: Intent, *, both_origins: bool = True) -> tuple[RoaIntent, ...]:
    """The ROAs of an intent: of the new origin, and while a migration goes on of the old one too."""
    found: list[RoaIntent] = []
    for own in intent.prefixes:
        prefix = ipaddress.ip_network(str(own.prefix))
        found.append(RoaIntent(prefix, own.roa_length, intent.asn, "our own origin"))
        if own.old_origin and both_origins:
            found.append(
                RoaIntent(prefix, own.roa_length, own.old_origin, "the old origin, until the migration is done")
            )
    return tuple(found)


def compare(intents: Sequence[RoaIntent], table: Vrps) -> Plan:
    """What is missing and what is wrong, seen from the prefixes that are announced."""
    known = {each.asn for each in intents}
    lengths = {(each.prefix, each.asn): each.max_length for each in intents}
    covering: dict[Vrp, None] = {}
    for each in intents:
        verdict = origins.validate(table, each.prefix, each.asn)
        covering.update(dict.fromkeys((*verdict.allowing, *verdict.others)))
    present = tuple(each for each in intents if _is_valid(each, table))
    return Plan(
        missing=tuple(each for each in intents if each not in present),
        present=present,
        loose=tuple(
            v
            for v in covering
            if v.asn in known and v.max_length > lengths.get((v.prefix, v.asn), _announced(v, intents))
        ),
        nobody=tuple(v for v in covering if v.asn == 0),
        others=tuple(v for v in covering if v.asn not in known and v.asn != 0),
        superfluous=tuple(v for v in covering if v.asn in known and (v.prefix, v.asn) not in lengths),
    )


def krill(plan: Plan, *, remove: Iterable[Vrp] = ()) -> str:
    """The difference as Krill's `roas update` reads it."""
    added = [{"asn": each.asn, "prefix": str(each.prefix), "max_length": each.max_length} for each in plan.missing]
    removed = [{"asn": each.asn, "prefix": str(each.prefix), "max_length": each.max_length} for each in remove]
    return json.dumps({"added": added, "removed": removed}, indent=1) + "\n"


def _is_valid(each: RoaIntent, table: Vrps) -> bool:
    return origins.validate(table, each.prefix, each.asn).state is origins.State.VALID


def _announced(vrp: Vrp, intents: Sequence[RoaIntent]) -> int:
    """The longest that its system announces inside the prefix of a VRP."""
    return max(
        (each.max_length for each in intents if each.asn == vrp.asn and _inside(each.prefix, vrp.prefix)), default=0
    )


def _inside(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]
