"""The driver of ACME (RFC 8555), the protocol by which certificate authorities give certificates.

`order` is one whole order of one host by HTTP-01, blocking and bounded; where the answer to the authority's question
has to stand is the caller's. The library is the reference one of certbot's authors; it and what it stands on are
imported at the first order (`orders`), so that an installation without ACME does not carry them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from havre.base.secret import Secret

__all__ = ["Account", "Directory", "Issued", "new_key", "order"]


@dataclass(frozen=True)
class Directory:
    """An authority, and how we introduce ourselves. `ca_bundle`: a file that its HTTPS is believed by."""

    url: str
    email: str = ""
    eab_key_id: str = ""
    eab_key: Secret | None = None
    ca_bundle: str = ""


@dataclass(frozen=True)
class Account:
    """Our account there: its key (PEM), and its address once it is registered."""

    key: Secret
    uri: str = ""


@dataclass(frozen=True)
class Issued:
    """A certificate with its chain, leaf first, and its key; all PEM. `account_uri`: to be remembered."""

    chain: str
    key: Secret
    account_uri: str


def new_key() -> Secret:
    """A key for an account: P-256, PEM."""
    from havre.drivers.acme import orders

    return orders.new_key()


def order(
    directory: Directory,
    account: Account,
    host: str,
    *,
    put_token: Callable[[str, str], None],
    drop_token: Callable[[str], None],
    limit_s: float = 120,
) -> Issued:
    """Get a certificate for `host`. Blocks.

    put_token, drop_token: have `http://<host>/.well-known/acme-challenge/<token>` answer with the text, and no more.
    Raises InvalidError when the authority refuses, UnavailableError when it does not answer; with its words.
    """
    from havre.drivers.acme import orders

    return orders.order(directory, account, host, put_token, drop_token, limit_s)
