"""A person's account: signing in, the second factor, the password, addresses, keys, API tokens."""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import random
import re
import struct
from dataclasses import dataclass

import sqlalchemy as sa

from havre.base.errors import ConflictError, DeniedError, InvalidError, NotFoundError
from havre.base.ids import UserId
from havre.governance import account_tables, chance, passwords, tables, totp
from havre.governance.model import Actor
from havre.governance.rules import require_person
from havre.kernel.store import Tx

EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[A-Za-z0-9.-]{1,185}")
YEAR_MS = 366 * 86_400_000
PASSWORD_LEAST = 10
OURS, BAD_FORM, ELSEWHERE, BAD_KEY = 101, 550, 1004, 505  # numbers that the CLI knows
_KEY_KINDS = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
              "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")  # fmt: skip
WRONG = "the e-mail address or the password is wrong"
WRONG_CODE = "the code is wrong or was used before"


def email(text: str) -> str:
    """The normal form of an address. Raises InvalidError."""
    normal = text.strip().lower()
    if not EMAIL.fullmatch(normal):
        raise InvalidError(f"{text[:80]!r} is not an e-mail address", id=BAD_FORM)
    return normal


# signing in


def check_password(conn: sa.Connection, *, email: str, password: str, rng: random.Random) -> Actor:
    """Raises DeniedError for a wrong e-mail address or password, in the same words and the same time."""
    person = tables.person_by_email(conn, email.strip().lower())
    stored = person.password if person is not None else passwords.hashed("", rng)
    if not passwords.matches(password[:1024], stored) or person is None:
        raise DeniedError(WRONG, anonymous=True, code="invalid-credential")
    return Actor(UserId(person.id), person.name, person.email, person.is_operator, via="session")


def needs_code(conn: sa.Connection, person_id: str) -> bool:
    factor = account_tables.second_factor(conn, person_id)
    return factor is not None and factor.is_confirmed


def check_code(tx: Tx, person_id: str, code: str) -> None:
    """Use up a code of the second factor. Raises DeniedError; nothing is asked of who has none."""
    factor = account_tables.second_factor(tx.conn, person_id)
    if factor is None or not factor.is_confirmed:
        return
    step = totp.step_of(factor.secret, code, now=tx.now, after=factor.last_step)
    if step is not None:
        account_tables.update_second_factor(tx, person_id, last_step=step)
        return
    spare = chance.digest(code.strip().upper())
    if spare not in factor.codes:
        raise DeniedError(WRONG_CODE, anonymous=True, code="invalid-mfa-code")
    account_tables.update_second_factor(tx, person_id, codes=[each for each in factor.codes if each != spare])


def open_session(tx: Tx, actor: Actor, *, source: str, agent: str, rng: random.Random) -> str:
    """The cookie of a new session; only its digest is kept."""
    cookie = chance.text(rng, 43)
    values = {"digest": chance.digest(cookie), "person_id": actor.user_id}
    account_tables.insert_session(tx, **values, source=source[:64], agent=agent[:200])
    tx.emit("governance.session.opened", actor_id=actor.user_id, subject=actor.user_id)
    return cookie


def keep_session(tx: Tx, cookie: str) -> None:
    """It is in use: its time begins anew."""
    account_tables.touch_session(tx, chance.digest(cookie))


def session_seen_at(conn: sa.Connection, cookie: str) -> int:
    row = account_tables.session(conn, chance.digest(cookie))
    return int(row.seen_at) if row is not None else 0


def close_session(tx: Tx, cookie: str) -> None:
    account_tables.delete_session(tx, chance.digest(cookie))


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that somebody is signed in at. `id` names it; it opens nothing."""

    id: str
    source: str
    agent: str
    created_at: int
    seen_at: int
    is_current: bool


def sessions(conn: sa.Connection, actor: Actor) -> list[Session]:
    """Where the person is signed in, the one that was used last first."""
    require_person(actor)
    rows = account_tables.sessions(conn, actor.user_id)
    return [
        Session(each.digest[:16], each.source, each.agent, each.created_at, each.seen_at, each.digest == actor.token)
        for each in rows
    ]


def end_session(tx: Tx, actor: Actor, id: str) -> None:
    """Sign the person out at one browser; `current`: at the one that asks. Raises NotFoundError."""
    require_person(actor)
    for each in account_tables.sessions(tx.conn, actor.user_id):
        if id == each.digest[:16] or (id == "current" and each.digest == actor.token):
            account_tables.delete_session(tx, each.digest)
            tx.emit("governance.session.ended", actor_id=actor.user_id, subject=actor.user_id)
            return
    raise NotFoundError("there is no such session")


def change_password(tx: Tx, actor: Actor, *, old: str, new: str, rng: random.Random) -> None:
    """Every session but the one that asks ends; tokens are revoked one by one. Raises DeniedError, InvalidError."""
    require_person(actor)
    person = tables.person(tx.conn, actor.user_id)
    if person is None or not passwords.matches(old[:1024], person.password):
        raise DeniedError("the present password is wrong")
    set_password(tx, person.id, new, rng=rng, but=actor.token)


def set_password(tx: Tx, person_id: str, new: str, *, rng: random.Random, but: str = "") -> None:
    check_new_password(new)
    tables.update_person(tx, person_id, password=passwords.hashed(new, rng))
    account_tables.delete_sessions(tx, person_id, but=but)
    tx.emit("governance.password.changed", actor_id=person_id, subject=person_id)


def check_new_password(new: str) -> None:
    if not PASSWORD_LEAST <= len(new) <= 1024:
        raise InvalidError(f"a password has {PASSWORD_LEAST} characters at least")


# the second factor


def begin_factor(tx: Tx, actor: Actor, *, rng: random.Random) -> str:
    """A new secret (base32), in force once a code of it was shown. Raises ConflictError when there is one."""
    require_person(actor)
    if needs_code(tx.conn, actor.user_id):
        raise ConflictError("two-step sign-in is on already")
    secret = base64.b32encode(rng.randbytes(20)).decode()
    values = {"secret": secret, "is_confirmed": False, "last_step": 0, "codes": []}
    account_tables.put_second_factor(tx, actor.user_id, **values)
    return secret


def confirm_factor(tx: Tx, actor: Actor, code: str, *, rng: random.Random) -> list[str]:
    """Turn it on; returns the spare codes, shown once. Raises DeniedError for a wrong code."""
    require_person(actor)
    factor = account_tables.second_factor(tx.conn, actor.user_id)
    if factor is None or factor.is_confirmed:
        raise ConflictError("there is no second factor to confirm")
    step = totp.step_of(factor.secret, code, now=tx.now, after=0)
    if step is None:
        raise DeniedError(WRONG_CODE)
    spare = [chance.text(rng, 10).upper() for _ in range(8)]
    digests = [chance.digest(each) for each in spare]
    account_tables.update_second_factor(tx, actor.user_id, is_confirmed=True, last_step=step, codes=digests)
    tx.emit("governance.factor.confirmed", actor_id=actor.user_id, subject=actor.user_id)
    return spare


def drop_factor(tx: Tx, actor: Actor) -> None:
    require_person(actor)
    account_tables.delete_second_factor(tx, actor.user_id)
    tx.emit("governance.factor.dropped", actor_id=actor.user_id, subject=actor.user_id)


def clear_factor(tx: Tx, person_id: str) -> None:
    """By an operator, for a person who lost it."""
    account_tables.delete_second_factor(tx, person_id)


# addresses


def emails(conn: sa.Connection, actor: Actor) -> list[str]:
    """The confirmed secondary addresses."""
    return [row.address for row in account_tables.emails(conn, actor.user_id) if row.is_confirmed]


def add_email(tx: Tx, actor: Actor, text: str, *, rng: random.Random) -> str:
    """Ask for an address; returns the text that confirms it, which goes there and nowhere else."""
    require_person(actor)
    address = email(text)
    if address == actor.email or address in emails(tx.conn, actor):
        raise ConflictError("This address already belongs to your account", id=OURS)
    if _is_taken(tx.conn, address):
        raise ConflictError("This address belongs to another account", id=ELSEWHERE)
    proof = chance.text(rng, 43)
    values = {"person_id": actor.user_id, "address": address, "digest": chance.digest(proof)}
    account_tables.put_email(tx, **values, is_confirmed=False)
    tx.emit("governance.email.asked", actor_id=actor.user_id, subject=actor.user_id)
    return proof


def confirm_email(tx: Tx, proof: str) -> str:
    """Returns the address. Raises NotFoundError for a proof that is not ours or was used."""
    row = account_tables.email_by_digest(tx.conn, chance.digest(proof))
    if row is None or row.is_confirmed or _is_taken(tx.conn, row.address):
        raise NotFoundError("this confirmation is not valid any more; ask for a new one")
    account_tables.confirm_email(tx, row.person_id, row.address)
    tx.emit("governance.email.confirmed", actor_id=row.person_id, subject=row.person_id)
    return str(row.address)


def make_primary(tx: Tx, actor: Actor, text: str) -> None:
    """The address changes places with the primary one."""
    require_person(actor)
    address = email(text)
    if address not in emails(tx.conn, actor):
        raise NotFoundError("This address must be added as a secondary address before marking it as primary")
    account_tables.delete_email(tx, actor.user_id, address)
    digest = chance.digest(f"{actor.user_id} {actor.email}")
    account_tables.put_email(tx, person_id=actor.user_id, address=actor.email, digest=digest, is_confirmed=True)
    tables.update_person(tx, actor.user_id, email=address)
    tx.emit("governance.email.preferred", actor_id=actor.user_id, subject=actor.user_id)


def drop_email(tx: Tx, actor: Actor, text: str) -> None:
    require_person(actor)
    if not account_tables.delete_email(tx, actor.user_id, email(text)):
        raise NotFoundError("This address is none of your secondary addresses")


def _is_taken(conn: sa.Connection, address: str) -> bool:
    return (
        tables.person_by_email(conn, address) is not None or account_tables.confirmed_email(conn, address) is not None
    )


# keys


@dataclass(frozen=True, slots=True)
class Key:
    name: str
    key: str
    fingerprint: str


def keys(conn: sa.Connection, actor: Actor) -> list[Key]:
    return [Key(row.name, row.key, row.fingerprint) for row in account_tables.ssh_keys(conn, actor.user_id)]


def put_key(tx: Tx, actor: Actor, *, name: str, key: str) -> Key:
    """Raises InvalidError for what is no public key, ConflictError when somebody has it already."""
    if not name or len(name) > 120 or any(ord(each) < 32 for each in name):
        raise InvalidError("the name of a key is one line of 1 to 120 characters")
    normal, fingerprint = parse_key(key)
    held = account_tables.ssh_key_by_fingerprint(tx.conn, fingerprint)
    if held is not None and (held.person_id, held.name) != (actor.user_id, name):
        raise ConflictError("this SSH key is registered already")
    account_tables.put_ssh_key(tx, person_id=actor.user_id, name=name, key=normal, fingerprint=fingerprint)
    tx.emit("governance.key.put", actor_id=actor.user_id, subject=actor.user_id, fingerprint=fingerprint)
    return Key(name, normal, fingerprint)


def drop_key(tx: Tx, actor: Actor, name: str) -> None:
    if not account_tables.delete_ssh_key(tx, actor.user_id, name):
        raise NotFoundError("there is no such key")
    tx.emit("governance.key.dropped", actor_id=actor.user_id, subject=actor.user_id)


def parse_key(text: str) -> tuple[str, str]:
    """The key as one line, and its fingerprint as OpenSSH writes it (RFC 4253 section 6.6). Raises InvalidError."""
    bad = InvalidError("this is not a public SSH key (a line such as ssh-ed25519 AAAA…)", id=BAD_KEY)
    words = text.strip().split(None, 2)
    if len(text) > 16384 or "\n" in text.strip() or len(words) < 2 or words[0] not in _KEY_KINDS:
        raise bad
    try:
        blob = base64.b64decode(words[1], validate=True)
        (length,) = struct.unpack(">I", blob[:4])
    except (binascii.Error, ValueError, struct.error) as cause:
        raise bad from cause
    if blob[4 : 4 + length] != words[0].encode() or len(blob) <= 4 + length:
        raise bad
    shown = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return " ".join(words), f"SHA256:{shown}"


# API tokens


def api_tokens(conn: sa.Connection, actor: Actor) -> list[tables.Row]:
    return account_tables.api_tokens(conn, actor.user_id)


def api_tokens_of(conn: sa.Connection, person_id: str) -> list[tables.Row]:
    """For operators."""
    return account_tables.api_tokens(conn, person_id)


def new_api_token(
    tx: Tx, actor: Actor, *, name: str, description: str, expires_at: int, source: str, rng: random.Random
) -> tuple[tables.Row, str]:
    """The token's row, and the token itself, which nobody can read again."""
    if not 1 <= len(name.strip()) <= 120 or len(description) > 400:
        raise InvalidError("an API token has a name of 1 to 120 characters")
    if not tx.now < expires_at <= tx.now + YEAR_MS:
        raise InvalidError("an API token expires within a year from now")
    secret, id = chance.text(rng, 48), f"api_token_{_uuid(rng)}"
    values = {"id": id, "digest": chance.digest(secret), "person_id": actor.user_id, "name": name.strip()}
    account_tables.insert_api_token(tx, **values, description=description, source=source[:64], expires_at=expires_at)
    tx.emit("governance.api_token.made", actor_id=actor.user_id, subject=actor.user_id, id=id)
    row = next(each for each in account_tables.api_tokens(tx.conn, actor.user_id) if each.id == id)
    return row, secret


def change_api_token(tx: Tx, actor: Actor, id: str, *, name: str, description: str) -> None:
    if not 1 <= len(name.strip()) <= 120 or len(description) > 400:
        raise InvalidError("an API token has a name of 1 to 120 characters")
    if not account_tables.update_api_token(tx, actor.user_id, id, name=name.strip(), description=description):
        raise NotFoundError("there is no such API token")


def revoke_api_token(tx: Tx, actor: Actor, id: str) -> None:
    if not account_tables.delete_api_token(tx, actor.user_id, id):
        raise NotFoundError("there is no such API token")
    tx.emit("governance.api_token.revoked", actor_id=actor.user_id, subject=actor.user_id, id=id)


def revoke_token(tx: Tx, actor: Actor, token: str) -> None:
    """One of the person's OAuth tokens (a signed-in command line)."""
    row = tables.token(tx.conn, token)
    if row is None or row.person_id != actor.user_id:
        raise NotFoundError("there is no such token")
    tables.delete_token(tx, token)
    tx.emit("governance.token.revoked", actor_id=actor.user_id, subject=actor.user_id)


def iso(at: int) -> str:
    return datetime.datetime.fromtimestamp(at / 1000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _uuid(rng: random.Random) -> str:
    import uuid

    return str(uuid.UUID(bytes=rng.randbytes(16), version=4))
