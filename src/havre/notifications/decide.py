"""Pure: which public events an event of the platform is, whom they concern, what is said, when to try again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from havre.base.errors import InvalidError
from havre.kernel.events import Event
from havre.notifications.model import EVENTS, META, Hook, PublicEvent

TRIES = 12
FIRST_MS, MOST_MS = 2_000, 3_600_000
_NAMES = {
    "apps.app.created": ("APPLICATION_CREATION",),
    "apps.app.changed": ("APPLICATION_EDITION",),
    "apps.app.deleted": ("APPLICATION_DELETION",),
    "apps.deployment.began": ("DEPLOYMENT_ACTION_BEGIN",),
    "apps.deployment.ended": ("DEPLOYMENT_ACTION_END",),
    "governance.owner.created": ("ORGANISATION_CREATION",),
    "governance.owner.changed": ("ORGANISATION_EDITION",),
    "governance.owner.deleted": ("ORGANISATION_DELETION",),
    "governance.member.put": ("ORGANISATION_USER_ADDITION",),
    "governance.person.added": ("ACCOUNT_CREATION",),
}
_CAUSES = {"Git": "GIT_PUSH"} | dict.fromkeys(("API", "CLI", "Console"), "APPLICATION_REDEPLOY")
_RESULTS = {"OK": "DEPLOYMENT_SUCCESS", "FAIL": "DEPLOYMENT_FAIL"}


def public_events(event: Event) -> list[PublicEvent]:
    """What the outside is told of `event`; often nothing."""
    names = list(_NAMES.get(event.name, ()))
    facts = event.facts
    if event.name == "apps.deployment.began":
        began = "APPLICATION_STOP" if facts.get("action") == "UNDEPLOY" else _CAUSES.get(str(facts.get("cause")))
        names += [began] if began else []
    if event.name == "apps.deployment.ended" and facts.get("action") != "UNDEPLOY":
        result = _RESULTS.get(str(facts.get("state")))
        names += [result] if result else []
    data = _data(event)
    author = event.actor_id or ""
    return [PublicEvent(name, event.at, author, event.owner_id, event.subject or "", data) for name in names]


def _data(event: Event) -> dict[str, Any]:
    subject, facts = event.subject, event.facts
    if event.name.startswith("apps."):
        data: dict[str, Any] = {"id": subject, "appId": subject, "ownerId": event.owner_id, "authorId": event.actor_id}
        if event.name.startswith("apps.deployment."):
            data |= {"uuid": facts.get("deployment"), "date": event.at}
            data |= {name: facts[name] for name in ("state", "action", "commit", "cause") if name in facts}
        return data
    return {"id": subject, "ownerId": event.owner_id, "authorId": event.actor_id}


def concerns(hook: Hook, event: PublicEvent) -> bool:
    if hook.owner_id != event.owner_id:
        return False
    if hook.scope and event.subject not in hook.scope and event.owner_id not in hook.scope:
        return False
    if not hook.events:
        return True
    wanted = {name for each in hook.events for name in META.get(each, frozenset({each}))}
    return event.name in wanted


def check_events(events: list[str] | None) -> tuple[str, ...] | None:
    """Raises InvalidError naming what is known."""
    known = {*EVENTS, *META}
    for each in events or ():
        if each not in known:
            raise InvalidError(f"there is no event {each[:60]!r}; the events are {', '.join(sorted(known))}")
    return tuple(events) if events else None


def raw(event: PublicEvent) -> dict[str, Any]:
    """The object of the events socket and of raw webhooks."""
    return {
        "event": event.name,
        "date": event.date,
        "authorId": event.author_id,
        "data": json.dumps(dict(event.data)),
    }


def sentence(event: PublicEvent, subject_name: str) -> str:
    """For people: `shop: deployment failed (Git, 2089cd64)`."""
    data = event.data
    words = event.name.lower().replace("_", " ")
    about = [str(data["cause"])] if data.get("cause") else []
    about += [str(data["commit"])[:8]] if data.get("commit") else []
    return f"{subject_name}: {words}" + (f" ({', '.join(about)})" if about else "")


def body(format: str, event: PublicEvent, subject_name: str) -> Mapping[str, Any]:
    """What a webhook of `format` is sent."""
    said = sentence(event, subject_name)
    if format == "slack":
        return {"text": said, "username": "Havre"}
    if format == "gitter":
        return {"message": said, "level": "error" if event.name.endswith("FAIL") else "info"}
    if format == "flowdock":
        return {"event": "activity", "title": said, "author": {"name": "Havre"}, "external_thread_id": event.subject}
    return raw(event)


def next_try_ms(tries: int) -> int | None:
    """How long to wait after the `tries`-th failed try; None: give up (after about half a day)."""
    return None if tries >= TRIES else min(MOST_MS, FIRST_MS * int(3 ** (tries - 1)))
