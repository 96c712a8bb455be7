"""What a person is told of the certificate of a host. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from havre.edge.certificates import decide
from havre.edge.certificates.model import Certificate, Order, Site

State = Literal["internal", "ordering", "failed", "ordered", "renewing", "uploaded"]


@dataclass(frozen=True, slots=True)
class CertificateState:
    """The certificate that a host shows now, and what is being done about another.

    state: `internal`, of the installation's own authority, and nothing better is to come; `ordering` and `failed`:
    such a one, until one that is ordered has come; `ordered` and `renewing`: of a public authority; `uploaded`: by
    somebody.
    error: of the last order that failed; next_at: when the next one is due, None when none is to come.
    """

    state: State
    issuer: str
    not_after: int | None
    is_operators: bool = False
    error: str = ""
    failures: int = 0
    next_at: int | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """What the internal authority made for a host: shown while there is nothing better."""

    issuer: str
    not_after: int | None


def decide_state(
    site: Site, shown: Certificate | None, order: Order | None, leaf: Leaf, *, has_authority: bool, now: int
) -> CertificateState:
    """has_authority: certificates are ordered somewhere."""
    tried = {"error": order.error, "failures": order.failures} if order is not None else {}
    if shown is not None and shown.kind == "own":
        return CertificateState("uploaded", shown.issuer, shown.not_after, shown.owner_id is None)
    if shown is not None:
        renew_at = decide.renew_at(shown)
        next_at = max(renew_at, order.next_at if order is not None else 0)
        state: State = "renewing" if now >= renew_at else "ordered"
        return CertificateState(state, shown.issuer, shown.not_after, next_at=next_at, **tried)  # type: ignore[arg-type]
    if not has_authority or not decide.may_be_ordered(site):
        return CertificateState("internal", leaf.issuer, leaf.not_after)
    if order is not None and order.failures and order.next_at > now:
        return CertificateState("failed", leaf.issuer, leaf.not_after, next_at=order.next_at, **tried)  # type: ignore[arg-type]
    return CertificateState("ordering", leaf.issuer, leaf.not_after, next_at=now, **tried)  # type: ignore[arg-type]
