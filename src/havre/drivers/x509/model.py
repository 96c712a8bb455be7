"""What the notary says of a certificate."""

from __future__ import annotations

from dataclasses import dataclass

from havre.base.secret import Secret

LEAF_DAYS = 90  # of the internal authority's
NEVER = 1 << 62  # ms
ROOT_LEFT_MS = 30 * 86_400_000  # a root with less left is made anew


@dataclass(frozen=True)
class Checked:
    """What was found good. `chain` is in order, leaf first, without a root. `note`: a doubt that is no error."""

    names: tuple[str, ...]
    issuer: str
    not_before: int
    not_after: int
    fingerprint: str
    chain: str
    key: Secret
    note: str = ""


@dataclass(frozen=True)
class Root:
    """The root of the internal authority, as its file says: its name, when it begins and ends, in ms."""

    name: str
    not_before: int
    not_after: int

    def is_good(self, now: int) -> bool:
        """It has begun, and does not end soon."""
        return self.not_before <= now < self.not_after - ROOT_LEFT_MS
