"""What people may ask of notifications, and the letters that other rooms post."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from havre import governance
from havre.base.errors import ExhaustedError, InvalidError, NotFoundError
from havre.governance import Actor, Right
from havre.kernel.store import Tx
from havre.notifications import decide, tables
from havre.notifications.model import Delivery, Hook, Kind

FORMATS = ("raw", "slack", "gitter", "flowdock")
MOST_HOOKS = 100
UNKNOWN = "The notification cannot be found"


def hooks(conn: sa.Connection, actor: Actor, owner_id: str, kind: Kind) -> list[tuple[Hook, int]]:
    """The hooks of an organisation, each with the number of its deliveries that failed for good."""
    owner = governance.authorise(conn, actor, owner_id, Right.LOOK_INSIDE)
    return [(each, tables.failures(conn, each.id)) for each in tables.hooks_of(conn, owner.id, kind)]


def add_webhook(tx: Tx, actor: Actor, owner_id: str, given: Mapping[str, Any]) -> Hook:
    targets = []
    for each in given.get("urls") or ():
        format, url = str(each.get("format") or "raw"), str(each.get("url") or "")
        if format not in FORMATS:
            raise InvalidError(f"there is no format {format[:40]!r}; the formats are {', '.join(FORMATS)}")
        if len(url) > 2000 or not url.isprintable() or not _is_http(url):
            raise InvalidError(f"{url[:80]!r} is not a URL such as https://hooks.example.com/x")
        targets.append({"format": format, "url": url})
    return _add(tx, actor, owner_id, "webhook", given, targets)


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def add_emailhook(tx: Tx, actor: Actor, owner_id: str, given: Mapping[str, Any]) -> Hook:
    targets = []
    for each in given.get("notified") or ({"type": "organisation"},):
        kind, target = str(each.get("type") or ""), str(each.get("target") or "")
        if kind == "email":
            targets.append({"type": kind, "target": governance.accounts.email(target)})
        elif kind == "userid" and target.startswith("user_"):
            targets.append({"type": kind, "target": target[:64]})
        elif kind == "organisation":
            targets.append({"type": kind})
        else:
            raise InvalidError("who is notified is an email, a userid or the organisation")
    return _add(tx, actor, owner_id, "email", given, targets)


def _add(
    tx: Tx, actor: Actor, owner_id: str, kind: Kind, given: Mapping[str, Any], targets: Sequence[Mapping[str, str]]
) -> Hook:
    owner = governance.authorise(tx.conn, actor, owner_id, Right.WRITE)
    name = str(given.get("name") or "").strip()
    scope = given.get("scope")
    if not 1 <= len(targets) <= 20:
        raise InvalidError("a notification goes to 1 to 20 places")
    if len(name) > 120 or (scope is not None and (len(scope) > 200 or any(len(each) > 80 for each in scope))):
        raise InvalidError("a notification has a name of at most 120 characters and names at most 200 services")
    if len(tables.hooks_of(tx.conn, owner.id)) >= MOST_HOOKS:
        raise ExhaustedError(f"an organisation may have {MOST_HOOKS} notifications")
    hook = Hook(
        id=f"{kind}_{uuid.uuid4()}",
        owner_id=owner.id,
        kind=kind,
        name=name,
        scope=tuple(scope) if scope else None,
        events=decide.check_events(given.get("events")),
        targets=tuple(targets),
        created_at=tx.now,
    )
    tables.insert_hook(tx, hook)
    tx.emit("notifications.hook.added", owner_id=owner.id, actor_id=actor.user_id, subject=hook.id)
    return hook


def remove_hook(tx: Tx, actor: Actor, owner_id: str, id: str, kind: Kind) -> Hook:
    hook = _found(tx.conn, actor, owner_id, id, kind, Right.WRITE)
    tables.delete_hook(tx, hook.id)
    tx.emit("notifications.hook.removed", owner_id=hook.owner_id, actor_id=actor.user_id, subject=hook.id)
    return hook


def deliveries(conn: sa.Connection, actor: Actor, owner_id: str, id: str, kind: Kind) -> list[Delivery]:
    """The log of a hook's deliveries, newest first."""
    return tables.deliveries(conn, hook_id=_found(conn, actor, owner_id, id, kind, Right.LOOK_INSIDE).id)


def _found(conn: sa.Connection, actor: Actor, owner_id: str, id: str, kind: Kind, right: Right) -> Hook:
    owner = governance.authorise(conn, actor, owner_id, right)
    hook = tables.hook(conn, id)
    if hook is None or hook.owner_id != owner.id or hook.kind != kind:
        raise NotFoundError(UNKNOWN)
    return hook


def drop_owner(tx: Tx, owner_id: str) -> None:
    """The organisation is gone."""
    tables.delete_hooks_of(tx, owner_id)


def post(tx: Tx, *, to: str, subject: str, text: str) -> None:
    """A letter of the platform, sent after the commit, tried again until it has left."""
    tables.insert_delivery(
        tx, hook_id=None, owner_id=None, kind="letter", to=to, content={"subject": subject, "text": text}
    )
    tx.emit("notifications.letter.posted", subject=None)


def outbox(conn: sa.Connection, actor: Actor) -> list[Delivery]:
    """The letters of the platform, newest first; for operators."""
    governance.authorise_operator(actor)
    return tables.deliveries(conn, kind="letter")
