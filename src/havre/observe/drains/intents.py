"""What people may ask of drains. Who may ask is decided by the caller, who knows the app."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import sqlalchemy as sa

from havre.base.errors import ExhaustedError, InvalidError, NotFoundError
from havre.kernel.store import Tx
from havre.observe.drains import SENDERS, tables
from havre.observe.drains.model import Drain, DrainState

MOST = 20
_FIELDS = ("type", "url", "username", "password", "apiKey", "sourceToken", "index", "tlsVerification",
           "rfc5424StructuredDataParameters")  # fmt: skip


def check_recipient(given: Mapping[str, object]) -> dict[str, str]:
    """Raises InvalidError with what is missing or wrong."""
    found = {name: str(given[name]) for name in _FIELDS if given.get(name) not in (None, "")}
    sender = SENDERS.get(found.get("type", ""))
    if sender is None:
        raise InvalidError(f"a drain's type is one of {', '.join(SENDERS)}")
    scheme = found.get("url", "").partition("://")[0]
    if any(len(each) > 2000 or not each.isprintable() for each in found.values()) or scheme not in sender.schemes:
        forms = ", ".join(f"{each}://…" for each in sender.schemes)
        raise InvalidError(f"the URL of a {found['type']} drain is of the form {forms}")
    if missing := [each for each in sender.needs if not found.get(each)]:
        raise InvalidError(f"a {found['type']} drain needs {', '.join(missing)}")
    return found


def create(
    tx: Tx, *, app_id: str, owner_id: str, author_id: str, kind: str, recipient: Mapping[str, str], after: int
) -> Drain:
    """A drain of what comes after sequence number `after`."""
    if kind != "LOG":
        raise InvalidError("a drain's kind is LOG")
    if len(tables.drains(tx.conn, app_id)) >= MOST:
        raise ExhaustedError(f"an application may have {MOST} drains")
    drain = Drain(
        id=f"drain_{uuid.uuid4()}",
        owner_id=owner_id,
        app_id=app_id,
        kind=kind,
        recipient=recipient,
        is_enabled=True,
        changed_at=tx.now,
        author_id=author_id,
        created_at=tx.now,
    )
    tables.insert(tx, drain, seq=after)
    tx.emit("observe.drain.created", owner_id=owner_id, actor_id=author_id, subject=app_id, drain=drain.id)
    return drain


def begin_again(tx: Tx) -> None:
    """Every drain begins at the first line: the store of lines is new."""
    tables.begin_again(tx)


def find(conn: sa.Connection, app_id: str, id: str) -> tuple[Drain, DrainState]:
    """Raises NotFoundError."""
    found, state = tables.drain(conn, id), tables.state(conn, id)
    if found is None or state is None or found.app_id != app_id:
        raise NotFoundError("The drain cannot be found")
    return found, state


def of_app(conn: sa.Connection, app_id: str) -> list[tuple[Drain, DrainState]]:
    return [find(conn, app_id, each.id) for each in tables.drains(conn, app_id)]


def set_enabled(tx: Tx, *, app_id: str, id: str, is_on: bool, author_id: str) -> None:
    found, _ = find(tx.conn, app_id, id)
    tables.set_enabled(tx, id, is_on=is_on, author_id=author_id)
    tx.emit("observe.drain.switched", owner_id=found.owner_id, actor_id=author_id, subject=app_id, is_on=is_on)


def remove(tx: Tx, *, app_id: str, id: str, author_id: str) -> None:
    found, _ = find(tx.conn, app_id, id)
    tables.delete(tx, id)
    tx.emit("observe.drain.removed", owner_id=found.owner_id, actor_id=author_id, subject=app_id)


def drop_app(tx: Tx, app_id: str) -> None:
    """The app is gone, and its drains with it."""
    for each in tables.drains(tx.conn, app_id):
        tables.delete(tx, each.id)
