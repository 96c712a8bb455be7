"""Who has a host: a TXT record tells, when two organisations want the same name.

The first to ask for a name gets it. Another may take it over by showing that the domain is theirs: a TXT record
`_havre-challenge.<host>`, or of a domain above it, with a text that is made of the organisation and the host. What a
web server answers under the name would prove nothing: the name may lead to the very app that holds it.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from dataclasses import dataclass

import sqlalchemy as sa

from havre.edge import tables
from havre.edge.lookup import open_resolver
from havre.kernel.store import Tx

LABEL = "_havre-challenge"
LOOK_UP_S = 5.0


@dataclass(frozen=True, slots=True)
class Challenge:
    """`names`: where the record may stand, the host's own first."""

    names: tuple[str, ...]
    text: str

    @property
    def how(self) -> str:
        return f"to prove that it is yours, set a TXT record {self.names[0]} with the text {self.text} and try again"


def remember_secret(tx: Tx, rng: random.Random) -> None:
    """Make what the texts are made of, once for an installation."""
    if tables.proof_secret(tx.conn) is None:
        tables.set_proof_secret(tx.conn, f"{rng.getrandbits(256):064x}")


def challenge(conn: sa.Connection, *, owner_id: str, host: str) -> Challenge:
    """What `owner_id` has to publish for `host`; always the same."""
    plain = host.removeprefix("*.")
    labels = plain.split(".")
    names = tuple(f"{LABEL}.{'.'.join(labels[start:])}" for start in range(len(labels) - 1))
    secret = (tables.proof_secret(conn) or "").encode()
    made = hmac.new(secret, f"{owner_id} {plain}".encode(), hashlib.sha256).hexdigest()[:40]
    return Challenge(names, f"havre-proof={made}")


async def is_proven(asked: Challenge, *, resolver: str) -> bool:
    """Whether the record stands. resolver: name servers `address[:port]`, by commas; empty: the host's."""
    from dns import exception

    ask = open_resolver(resolver, limit_s=LOOK_UP_S)
    for name in asked.names:
        try:
            answer = await ask.resolve(name, "TXT", search=False)
        except exception.DNSException:
            continue
        if any(b"".join(record.strings).decode(errors="replace").strip() == asked.text for record in answer):
            return True
    return False
