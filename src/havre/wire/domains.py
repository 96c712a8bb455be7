"""How the names of an app are, over the wire. Moments are ms since the epoch."""

from __future__ import annotations

from typing import Literal

from havre.wire.models import Wire


class DnsRecord(Wire):
    name: str
    type: Literal["CNAME", "A", "AAAA"]
    value: str


class DomainDns(Wire):
    """Where a name leads. `local`: every browser resolves it by itself; `unknown`: somewhere, and what this
    installation's own addresses are is not known. hiddenAddresses: how many are in a private network. records: those
    to create."""

    lead: Literal["here", "partly", "elsewhere", "nowhere", "unanswered", "local", "unknown"]
    addresses: list[str]
    hiddenAddresses: int
    cname: str
    records: list[DnsRecord]


class DomainCertificate(Wire):
    """What a name shows, and what is being done about another. `internal`: of the installation's own authority, and
    nothing better is to come; `ordering`, `failed`: such a one, until one that is ordered has come.
    isOperators: uploaded for the whole installation. nextTryAt: when it is ordered next."""

    state: Literal["internal", "ordering", "failed", "ordered", "renewing", "uploaded"]
    issuer: str
    notAfter: int | None
    isOperators: bool
    error: str
    failures: int
    nextTryAt: int | None


class DomainObject(Wire):
    """A name of an app. fqdn: with the path, and the port where it is not 443."""

    fqdn: str
    host: str
    isDefault: bool
    isFavourite: bool
    dns: DomainDns
    certificate: DomainCertificate


class DomainProof(Wire):
    """How to prove that a domain is yours: a TXT record of one of `names` with `text`. isOfUse: another organisation
    has the name, and would lose it to who proves this."""

    host: str
    names: list[str]
    text: str
    isOfUse: bool
