"""Who asks, from what a request carries: an OAuth 1 signature, token and secret, an API token, a session, a key.

Every function raises DeniedError (anonymous) in the same words for what is wrong, expired, revoked or unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from havre.base.errors import DeniedError, InvalidError
from havre.base.ids import UserId
from havre.governance import account_tables, chance, consumer_tables, signatures, tables
from havre.governance.model import Actor

# The key and secret that the `clever` CLI carries and sends with every request: public constants of that client.
CLI_CONSUMER = ("T5nFjKeHH4AIlEveuGhB5S3xg8T19e", "MgVMqTr6fWlf2M0tkC2MXOnhfqBWDT")
SESSION_IDLE_MS = 24 * 3_600_000
SESSION_LIFE_MS = 30 * 86_400_000
NOT_VALID = "the credentials are not valid or have expired"
IsNew = Callable[[str, str, int], bool]  # token, nonce, timestamp -> nobody has used this pair before


def refused() -> DeniedError:
    return DeniedError(NOT_VALID, anonymous=True)


@dataclass(frozen=True, slots=True)
class Pair:
    """A token and the consumer that uses it, as the store has them: all that a signature is checked against."""

    consumer_secret: str | None
    token: tables.Row | None
    grants: frozenset[str] | None


def pair(conn: sa.Connection, token: str, consumer_key: str) -> Pair:
    row = tables.token(conn, token)
    grants = _grants(conn, row) if row is not None else None
    return Pair(consumer_secret(conn, consumer_key), row, grants)


def check_signature(
    found: Pair, signed: signatures.Signed, asked: signatures.Asked, *, now: int, aged: int, is_new: IsNew | None = None
) -> Actor:
    """Who signed the request. A form-encoded body is signed too (RFC 5849 section 3.4.1.3).

    aged: what the time is if the clock has jumped ahead (`kernel.aging`), by which a token ends."""
    row, secret = found.token, found.consumer_secret
    genuine = signatures.verify(
        signed,
        consumer_secret=secret or "",
        token_secret=row.secret if row is not None else "",
        method=asked.method,
        url=asked.url,
        form=asked.form,
    )
    if row is None or secret is None or not genuine or signed.consumer_key != row.consumer or row.expires_at < aged:
        raise refused()
    check_fresh(signed, now=now, is_new=is_new)
    return Actor(UserId(row.person_id), row.name, row.email, row.is_operator, row.token, "oauth", found.grants)


def read_signature(header: str) -> signatures.Signed:
    """Raises DeniedError (anonymous) for what is no OAuth header."""
    try:
        return signatures.parse(header)
    except InvalidError as cause:
        raise DeniedError(cause.message, anonymous=True) from cause


def check_fresh(signed: signatures.Signed, *, now: int, is_new: IsNew | None) -> None:
    """Refuse what was signed too long ago and what was sent before (RFC 5849 section 3.3); PLAINTEXT has neither."""
    if signed.method == "PLAINTEXT":
        return
    if abs(now // 1000 - signed.timestamp) > signatures.WINDOW_S:
        raise DeniedError("the signature is too old: check this machine's clock", anonymous=True)
    if is_new is not None and not is_new(signed.token or signed.consumer_key, signed.nonce, signed.timestamp):
        raise DeniedError("this signed request was sent before", anonymous=True)


def consumer_secret(conn: sa.Connection, key: str) -> str | None:
    if key == CLI_CONSUMER[0]:
        return CLI_CONSUMER[1]
    found = consumer_tables.consumer(conn, key)
    return found.secret if found is not None else None


def authenticate_pair(conn: sa.Connection, token: str, secret: str, *, aged: int) -> Actor:
    """Who holds this token and its secret (git over HTTPS). aged: as in `check_signature`."""
    row = tables.token(conn, token)
    if row is None or not chance.same(row.secret, secret) or row.expires_at < aged:
        raise refused()
    grants = _grants(conn, row)
    return Actor(UserId(row.person_id), row.name, row.email, row.is_operator, row.token, "oauth", grants)


def _grants(conn: sa.Connection, row: tables.Row) -> frozenset[str] | None:
    return None if row.consumer == CLI_CONSUMER[0] else frozenset(consumer_tables.rights_of(conn, row.token))


def authenticate_bearer(conn: sa.Connection, api_token: str, *, now: int) -> Actor:
    """Who made this API token."""
    row = account_tables.api_token_by_digest(conn, chance.digest(api_token))
    if row is None or row.expires_at < now:
        raise refused()
    return Actor(UserId(row.person_id), row.person_name, row.email, row.is_operator, row.id, "api-token")


def authenticate_session(conn: sa.Connection, cookie: str, *, now: int) -> Actor:
    """Who is signed in at this browser."""
    row = account_tables.session(conn, chance.digest(cookie)) if cookie else None
    if row is None or now - row.seen_at > SESSION_IDLE_MS or now - row.created_at > SESSION_LIFE_MS:
        raise refused()
    return Actor(UserId(row.person_id), row.person_name, row.email, row.is_operator, row.digest, "session")


def authenticate_key(conn: sa.Connection, fingerprint: str) -> Actor:
    """Whose SSH key this is."""
    row = account_tables.ssh_key_by_fingerprint(conn, fingerprint)
    if row is None:
        raise refused()
    return Actor(UserId(row.person_id), row.person_name, row.email, row.is_operator, row.fingerprint, "ssh")
