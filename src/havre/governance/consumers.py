"""Other programs that act for people, and the OAuth 1 dance by which people let them (RFC 5849 section 2)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from havre.base import names
from havre.base.errors import DeniedError, InvalidError, NotFoundError
from havre.governance import chance, consumer_tables, rules, signatures, tables
from havre.governance.authentication import CLI_CONSUMER, IsNew, check_fresh, refused
from havre.governance.model import Actor, Grant, Right
from havre.kernel.store import Tx

LIFE_MS = 90 * 86_400_000
REQUEST_MS = 600_000
OUT_OF_BAND = "oob"
_TEXTS = {"description": "description", "url": "url", "picture": "picture", "baseUrl": "base_url"}


def _values(given: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {"name": names.display_name(str(given["name"]), what="a consumer")}
    for field, column in _TEXTS.items():
        text = str(given.get(field) or "").strip()
        if len(text) > 400:
            raise InvalidError(f"{field} has 400 characters at most")
        if text and field != "description" and urlsplit(text).scheme not in ("http", "https"):
            raise InvalidError(f"{field} is a URL such as https://portal.example.com")
        values[column] = text
    wanted = given.get("rights") or {}
    known = {str(each) for each in Grant}
    if unknown := sorted(set(wanted) - known - {"almighty"}):
        raise InvalidError(f"there is no right {unknown[0]}")
    return values | {"rights": sorted(name for name, is_on in wanted.items() if is_on and name in known)}


def create_consumer(tx: Tx, actor: Actor, owner_id: str, given: Mapping[str, Any], *, rng: random.Random) -> tables.Row:
    owner = rules.authorise(tx.conn, actor, owner_id, Right.ADMIN)
    rules.require_person(actor)
    key = chance.text(rng, 30)
    consumer_tables.insert_consumer(tx, key=key, secret=chance.text(rng, 30), owner_id=owner.id, **_values(given))
    tx.emit("governance.consumer.made", owner_id=owner.id, actor_id=actor.user_id, subject=key)
    return find_consumer(tx.conn, actor, owner_id, key, Right.ADMIN)


def find_consumer(conn: sa.Connection, actor: Actor, owner_id: str, key: str, right: Right) -> tables.Row:
    """Raises NotFoundError for an unknown one and for one of somebody else."""
    owner = rules.authorise(conn, actor, owner_id, right)
    found = consumer_tables.consumer(conn, key)
    if found is None or found.owner_id != owner.id:
        raise NotFoundError("The OAuth consumer cannot be found")
    return found


def consumers_of(conn: sa.Connection, actor: Actor, owner_id: str) -> list[tables.Row]:
    return consumer_tables.consumers_of(conn, [rules.authorise(conn, actor, owner_id, Right.READ).id])


def update_consumer(tx: Tx, actor: Actor, owner_id: str, key: str, given: Mapping[str, Any]) -> tables.Row:
    """What people granted before stays what they granted."""
    rules.require_person(actor)
    found = find_consumer(tx.conn, actor, owner_id, key, Right.ADMIN)
    consumer_tables.update_consumer(tx, key, **_values(given))
    tx.emit("governance.consumer.changed", owner_id=found.owner_id, actor_id=actor.user_id, subject=key)
    return find_consumer(tx.conn, actor, owner_id, key, Right.ADMIN)


def delete_consumer(tx: Tx, actor: Actor, owner_id: str, key: str) -> None:
    rules.require_person(actor)
    found = find_consumer(tx.conn, actor, owner_id, key, Right.ADMIN)
    consumer_tables.delete_consumer(tx, key)
    tx.emit("governance.consumer.deleted", owner_id=found.owner_id, actor_id=actor.user_id, subject=key)


# the dance


def _consumer_of(
    conn: sa.Connection,
    signed: signatures.Signed,
    token_secret: str,
    asked: signatures.Asked,
    *,
    now: int,
    is_new: IsNew,
) -> tables.Row:
    found = consumer_tables.consumer(conn, signed.consumer_key)
    secret = found.secret if found is not None else ""
    genuine = signatures.verify(
        signed,
        consumer_secret=secret,
        token_secret=token_secret,
        method=asked.method,
        url=asked.url,
        form=asked.form,
    )
    if found is None or not genuine:
        raise refused()
    check_fresh(signed, now=now, is_new=is_new)
    return found


def begin(tx: Tx, asked: signatures.Asked, *, rng: random.Random, is_new: IsNew) -> tuple[str, str]:
    """Temporary credentials for a consumer: token and secret. Raises DeniedError, InvalidError for its callback."""
    signed = signatures.parse_asked(asked)
    found = _consumer_of(tx.conn, signed, "", asked, now=tx.now, is_new=is_new)
    callback = asked.field("oauth_callback") or OUT_OF_BAND
    _check_callback(callback, found.base_url)
    consumer_tables.forget_requests(tx, before=tx.now - REQUEST_MS)
    token, secret = chance.text(rng, 32), chance.text(rng, 32)
    values = {"token": token, "secret": secret, "consumer": found.key, "callback": callback, "verifier": ""}
    consumer_tables.insert_request(tx, **values, person_id=None, rights=found.rights)
    return token, secret


def _check_callback(callback: str, base_url: str) -> None:
    """A person is sent only to where the consumer's owner said."""
    if callback == OUT_OF_BAND:
        return
    wanted, base = urlsplit(callback), urlsplit(base_url)
    same = (wanted.scheme, wanted.netloc) == (base.scheme, base.netloc)
    inside = wanted.path == base.path or wanted.path.startswith(base.path.rstrip("/") + "/")
    if len(callback) > 1000 or wanted.scheme not in ("http", "https") or not same or not inside or "\\" in callback:
        raise InvalidError("the callback is not below the base URL of this consumer")


def asked_for(conn: sa.Connection, token: str, *, now: int) -> tuple[tables.Row, tables.Row]:
    """The request that a person is asked about, and its consumer. Raises NotFoundError when it is over."""
    found = consumer_tables.request(conn, token)
    consumer = consumer_tables.consumer(conn, found.consumer) if found is not None else None
    if found is None or consumer is None or found.verifier or now - found.created_at > REQUEST_MS:
        raise NotFoundError("this request is not valid any more; begin again in the program that sent you here")
    return found, consumer


def allow(tx: Tx, actor: Actor, token: str, *, rng: random.Random) -> tuple[str, str]:
    """The person allows it; returns the callback and the verifier."""
    rules.require_person(actor)
    found, consumer = asked_for(tx.conn, token, now=tx.now)
    verifier = chance.text(rng, 20)
    consumer_tables.update_request(tx, token, verifier=verifier, person_id=actor.user_id)
    tx.emit("governance.grant.allowed", owner_id=consumer.owner_id, actor_id=actor.user_id, subject=consumer.key)
    return str(found.callback), verifier


def finish(tx: Tx, asked: signatures.Asked, *, rng: random.Random, is_new: IsNew) -> tuple[str, str, int]:
    """The token, its secret, and when it expires (ms), for an allowed request, once."""
    signed = signatures.parse_asked(asked)
    found = consumer_tables.request(tx.conn, signed.token)
    consumer = _consumer_of(
        tx.conn, signed, found.secret if found is not None else "", asked, now=tx.now, is_new=is_new
    )
    over = found is None or tx.now - found.created_at > REQUEST_MS or found.consumer != consumer.key
    if found is None or over or not found.verifier or not chance.same(asked.field("oauth_verifier"), found.verifier):
        raise DeniedError("this request was not allowed, or is over", anonymous=True)
    consumer_tables.delete_request(tx, found.token)
    token, secret, expires_at = chance.text(rng, 32), chance.text(rng, 32), tx.now + LIFE_MS
    values = {"token": token, "secret": secret, "consumer": consumer.key, "expires_at": expires_at}
    tables.insert_token(tx, **values, person_id=found.person_id)
    consumer_tables.insert_grant(tx, token, list(found.rights))
    tx.emit("governance.grant.made", owner_id=consumer.owner_id, actor_id=found.person_id, subject=consumer.key)
    return token, secret, expires_at


def rights_shown(rights: Sequence[str] | None) -> dict[str, bool]:
    """As the contract has them; None: the person themselves."""
    return {str(each): rights is None or each in rights for each in Grant}


def consumer_name(conn: sa.Connection, key: str) -> str:
    if key == CLI_CONSUMER[0]:
        return "clever"
    found = consumer_tables.consumer(conn, key)
    return found.name if found is not None else key
