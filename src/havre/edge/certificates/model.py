"""The nouns of certificates. A *site* is a host that the edge serves; a choice says which certificate it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["own", "acme"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that somebody gave us, or an authority.

    id: `cert_<uuid>`. owner_id: whose names it may be shown for; None: the operator's, for every name that it covers.
    names: DNS names and addresses that it is for. not_before, not_after: of the whole chain, in ms.
    warned: the last alarm that was given about its end, see `decide_alarms`.
    """

    id: str
    kind: Kind
    owner_id: str | None
    names: tuple[str, ...]
    issuer: str
    not_before: int
    not_after: int
    fingerprint: str
    created_at: int
    warned: int = 0

    def covers(self, host: str) -> bool:
        return covers(self.names, host)


def covers(names: tuple[str, ...], host: str) -> bool:
    """Whether a certificate for `names` is good for every visitor of `host`, which may be a wildcard (RFC 6125)."""
    return host in names or (not host.startswith("*.") and "*." + host.partition(".")[2] in names)


@dataclass(frozen=True, slots=True)
class Site:
    """A host that needs a certificate: of a vhost (`*.a.test` too), or of the platform (owner None)."""

    host: str
    owner_id: str | None = None

    @property
    def file(self) -> str:
        """Where the proxy looks for it: `*` is not for file names."""
        return ("_" + self.host[1:] if self.host.startswith("*.") else self.host) + ".pem"


@dataclass(frozen=True, slots=True)
class Order:
    """What is known of the orders for a host. `next_at`: not tried again before; moments in ms."""

    host: str
    failures: int = 0
    error: str = ""
    next_at: int = 0


@dataclass(frozen=True, slots=True)
class Alarm:
    """The end of a certificate is near: `level` 1 soon, 2 in days, 3 it has ended. `hosts`: who is served with it."""

    certificate: Certificate
    level: int
    hosts: tuple[str, ...]
