"""How people and their first credentials come to be, and how the command line gets its token."""

from __future__ import annotations

import random
import re

import sqlalchemy as sa

from havre.base import names
from havre.base.errors import ConflictError, InvalidError
from havre.base.ids import OwnerId, UserId, new_owner_id, new_user_id
from havre.base.moments import WRITTEN_MS
from havre.governance import account_tables, accounts, chance, passwords, tables
from havre.governance.authentication import CLI_CONSUMER
from havre.governance.model import Actor, Credentials, Person, Role
from havre.kernel.store import Tx

TOKEN_LIFE_MS = 365 * 86_400_000


def new_credentials(
    rng: random.Random, *, email: str = "operator@havre.localhost", name: str = "Operator"
) -> Credentials:
    return Credentials(
        user_id=new_user_id(),
        owner_id=new_owner_id(),
        email=email,
        name=name,
        password=chance.text(rng, 20),
        token=chance.text(rng, 32),
        secret=chance.text(rng, 32),
    )


def add_person(tx: Tx, given: Credentials, *, is_operator: bool, rng: random.Random) -> Person:
    """Make the person with a personal organisation and one token. Raises ConflictError for a known e-mail address."""
    email = accounts.email(given.email)
    known = tables.person_by_email(tx.conn, email) or account_tables.confirmed_email(tx.conn, email)
    if known is not None:
        raise ConflictError(f"{email} has an account already")
    person = {"id": given.user_id, "email": email, "name": names.display_name(given.name, what="a person")}
    hashed = passwords.hashed(given.password, rng)
    tables.insert_owner(tx, id=given.owner_id, name=person["name"], is_personal=True)
    tables.insert_person(tx, **person, password=hashed, is_operator=is_operator, personal_owner_id=given.owner_id)
    tables.put_member(tx, owner_id=given.owner_id, person_id=given.user_id, role=Role.ADMIN)
    expires_at = max(tx.now, WRITTEN_MS) + 10 * TOKEN_LIFE_MS
    token = {"token": given.token, "secret": given.secret, "consumer": CLI_CONSUMER[0], "expires_at": expires_at}
    tables.insert_token(tx, **token, person_id=given.user_id)
    tx.emit("governance.person.added", owner_id=given.owner_id, subject=given.user_id)
    return Person(given.user_id, email, person["name"], given.owner_id, is_operator, tx.now)


def bootstrap(tx: Tx, given: Credentials, rng: random.Random) -> None:
    """The first operator. Does nothing when there is a person already."""
    if not tables.people(tx.conn):
        add_person(tx, given, is_operator=True, rng=rng)


def bind_cli_token(tx: Tx, actor: Actor, *, cli_token: str, rng: random.Random) -> None:
    """A new token for `actor`, to be fetched once by the command line that chose `cli_token`."""
    if not re.fullmatch(r"[A-Za-z0-9_+/=-]{16,128}", cli_token):
        raise InvalidError("this sign-in link is not complete; run `clever login` again")
    token = chance.text(rng, 32)
    tables.forget_cli_tokens(tx, before=tx.now - 600_000)
    values = {"token": token, "secret": chance.text(rng, 32), "consumer": CLI_CONSUMER[0]}
    tables.insert_token(tx, **values, person_id=actor.user_id, expires_at=tx.now + TOKEN_LIFE_MS)
    tables.insert_cli_token(tx, digest=chance.digest(cli_token), token=token)


def take_cli_token(tx: Tx, cli_token: str) -> tables.Row | None:
    """The token that was bound to `cli_token`, once; None before that and after."""
    token = tables.take_cli_token(tx, chance.digest(cli_token))
    return tables.token(tx.conn, token) if token is not None else None


def personal_owner(conn: sa.Connection, user_id: UserId) -> OwnerId:
    person = tables.person(conn, user_id)
    assert person is not None
    return OwnerId(person.personal_owner_id)
