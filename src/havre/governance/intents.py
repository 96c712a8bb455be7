"""What changes people, organisations and credentials."""

from __future__ import annotations

import hashlib
import random
import re

import sqlalchemy as sa

from havre.base import names
from havre.base.errors import ConflictError, DeniedError, InvalidError
from havre.base.ids import OwnerId, UserId, new_owner_id, new_user_id
from havre.governance import passwords, rules, signatures, tables
from havre.governance.model import Actor, Credentials, Owner, Person, Right, Role
from havre.kernel.store import Tx

# The key and secret that the `clever` CLI carries and sends with every request: public constants of that client.
CLI_CONSUMER = ("T5nFjKeHH4AIlEveuGhB5S3xg8T19e", "MgVMqTr6fWlf2M0tkC2MXOnhfqBWDT")
TOKEN_LIFE_MS = 365 * 86_400_000
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_EMAIL = re.compile(r"[^@\s]{1,64}@[A-Za-z0-9.-]{1,185}")


def random_text(rng: random.Random, length: int) -> str:
    """Letters and digits only: the CLI does not percent-encode the secrets that it sends."""
    return "".join(rng.choice(_LETTERS) for _ in range(length))


def new_credentials(
    rng: random.Random, *, email: str = "operator@havre.localhost", name: str = "Operator"
) -> Credentials:
    return Credentials(
        user_id=new_user_id(),
        owner_id=new_owner_id(),
        email=email,
        name=name,
        password=random_text(rng, 20),
        token=random_text(rng, 32),
        secret=random_text(rng, 32),
    )


def add_person(tx: Tx, given: Credentials, *, is_operator: bool, rng: random.Random) -> Person:
    """Make the person with a personal organisation and one token. Raises ConflictError for a known e-mail address."""
    email = given.email.strip().lower()
    if not _EMAIL.fullmatch(email):
        raise InvalidError(f"{given.email!r} is not an e-mail address")
    if tables.person_by_email(tx.conn, email) is not None:
        raise ConflictError(f"{email} has an account already")
    person = {"id": given.user_id, "email": email, "name": names.display_name(given.name, what="a person")}
    hashed = passwords.hashed(given.password, rng)
    tables.insert_owner(tx, id=given.owner_id, name=person["name"], is_personal=True)
    tables.insert_person(tx, **person, password=hashed, is_operator=is_operator, personal_owner_id=given.owner_id)
    tables.put_member(tx, owner_id=given.owner_id, person_id=given.user_id, role=Role.ADMIN)
    expires_at = tx.now + 10 * TOKEN_LIFE_MS
    token = {"token": given.token, "secret": given.secret, "consumer": CLI_CONSUMER[0], "expires_at": expires_at}
    tables.insert_token(tx, **token, person_id=given.user_id)
    tx.emit("governance.person.added", owner_id=given.owner_id, subject=given.user_id)
    return Person(given.user_id, email, person["name"], given.owner_id, is_operator, tx.now)


def bootstrap(tx: Tx, given: Credentials, rng: random.Random) -> None:
    """The first operator. Does nothing when there is a person already."""
    if not tables.people(tx.conn):
        add_person(tx, given, is_operator=True, rng=rng)


def create_owner(tx: Tx, actor: Actor, *, name: str) -> Owner:
    """A new organisation, `actor` its administrator."""
    id = new_owner_id()
    display = names.display_name(name, what="an organisation")
    tables.insert_owner(tx, id=id, name=display, is_personal=False)
    tables.put_member(tx, owner_id=id, person_id=actor.user_id, role=Role.ADMIN)
    tx.emit("governance.owner.created", owner_id=id, actor_id=actor.user_id, subject=id)
    return Owner(id, display, Role.ADMIN, False, tx.now)


def put_member(tx: Tx, actor: Actor, *, owner_id: str, email: str, role: Role) -> None:
    """Give somebody a role. Raises InvalidError when nobody here has that e-mail address."""
    owner = rules.authorise(tx.conn, actor, owner_id, Right.ADMIN)
    person = tables.person_by_email(tx.conn, email.strip().lower())
    if person is None:
        raise InvalidError(f"nobody with the e-mail address {email} has an account here")
    tables.put_member(tx, owner_id=owner.id, person_id=person.id, role=role)
    tx.emit("governance.member.put", owner_id=owner.id, actor_id=actor.user_id, subject=person.id, role=role)


def sign_in(tx: Tx, *, email: str, password: str, rng: random.Random) -> Actor:
    """Raises DeniedError for a wrong e-mail address or password, in the same words and the same time."""
    person = tables.person_by_email(tx.conn, email.strip().lower())
    stored = person.password if person is not None else passwords.hashed("", rng)
    if not passwords.matches(password, stored) or person is None:
        raise DeniedError("the e-mail address or the password is wrong", anonymous=True)
    return Actor(UserId(person.id), person.name, person.email, person.is_operator)


def bind_cli_token(tx: Tx, actor: Actor, *, cli_token: str, rng: random.Random) -> None:
    """A new token for `actor`, to be fetched once by the command line that chose `cli_token`."""
    if not re.fullmatch(r"[A-Za-z0-9_+/=-]{16,128}", cli_token):
        raise InvalidError("this sign-in link is not complete; run `clever login` again")
    token = random_text(rng, 32)
    tables.forget_cli_tokens(tx, before=tx.now - 600_000)
    values = {"token": token, "secret": random_text(rng, 32), "consumer": CLI_CONSUMER[0]}
    tables.insert_token(tx, **values, person_id=actor.user_id, expires_at=tx.now + TOKEN_LIFE_MS)
    tables.insert_cli_token(tx, digest=_digest(cli_token), token=token)


def take_cli_token(tx: Tx, cli_token: str) -> tables.Row | None:
    """The token that was bound to `cli_token`, once; None before that and after."""
    token = tables.take_cli_token(tx, _digest(cli_token))
    return tables.token(tx.conn, token) if token is not None else None


def authenticate_oauth(conn: sa.Connection, header: str, *, method: str, url: str, now: int) -> Actor:
    """Who signed the request. Raises DeniedError (anonymous) when nobody we know did."""
    try:
        signed = signatures.parse(header)
    except InvalidError as cause:
        raise DeniedError(cause.message, anonymous=True) from cause
    row = tables.token(conn, signed.token)
    secrets = (CLI_CONSUMER[1], row.secret if row is not None else "")
    genuine = signatures.verify(signed, consumer_secret=secrets[0], token_secret=secrets[1], method=method, url=url)
    if row is None or not genuine or signed.consumer_key != CLI_CONSUMER[0] or row.expires_at < now:
        raise DeniedError("the credentials are not valid or have expired", anonymous=True)
    if signed.method != "PLAINTEXT" and abs(now // 1000 - signed.timestamp) > signatures.WINDOW_S:
        raise DeniedError("the signature is too old: check this machine's clock", anonymous=True)
    return rules.actor_of_row(row)


def authenticate_pair(conn: sa.Connection, token: str, secret: str, *, now: int) -> Actor:
    """Who holds this token and its secret (git over HTTPS). Raises DeniedError (anonymous)."""
    row = tables.token(conn, token)
    if row is None or not _same(row.secret, secret) or row.expires_at < now:
        raise DeniedError("the credentials are not valid or have expired", anonymous=True)
    return rules.actor_of_row(row)


def _same(left: str, right: str) -> bool:
    return hashlib.sha256(left.encode()).digest() == hashlib.sha256(right.encode()).digest()


def _digest(cli_token: str) -> str:
    return hashlib.sha256(cli_token.encode()).hexdigest()


def personal_owner(conn: sa.Connection, user_id: UserId) -> OwnerId:
    person = tables.person(conn, user_id)
    assert person is not None
    return OwnerId(person.personal_owner_id)
