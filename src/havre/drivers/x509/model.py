"""What the notary says of a certificate."""

from __future__ import annotations

from dataclasses import dataclass

from havre.base.secret import Secret

LEAF_DAYS = 90  # of the internal authority's
NEVER = 1 << 62  # ms


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
    """The root of the internal authority, as its file says: its name, and when it ends."""

    name: str
    not_after: int
