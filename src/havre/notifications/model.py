"""The nouns of notifications: hooks and what they are called for, deliveries, letters. Clever Cloud's event names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

Kind = Literal["webhook", "email"]
Format = Literal["raw", "slack", "gitter", "flowdock"]

EVENTS = (
    "ACCOUNT_CREATION", "ACCOUNT_DELETION", "ACCOUNT_EDITION", "ADDON_CREATION", "ADDON_DELETION",
    "APPLICATION_CREATION", "APPLICATION_DELETION", "APPLICATION_EDITION", "APPLICATION_REDEPLOY", "APPLICATION_STOP",
    "CLEVER_TOOLS_REQUEST", "CREDITS_ADDED", "DEPLOYMENT_ACTION_BEGIN", "DEPLOYMENT_ACTION_END", "DEPLOYMENT_FAIL",
    "DEPLOYMENT_SUCCESS", "GIT_PUSH", "ORGANISATION_CREATION", "ORGANISATION_DELETION", "ORGANISATION_EDITION",
    "ORGANISATION_USER_ADDITION",
)  # fmt: skip
META: Mapping[str, frozenset[str]] = {
    "META_SERVICE_LIFECYCLE": frozenset(
        {"APPLICATION_CREATION", "APPLICATION_DELETION", "APPLICATION_EDITION", "ADDON_CREATION", "ADDON_DELETION"}
    ),
    "META_DEPLOYMENT_RESULT": frozenset({"DEPLOYMENT_SUCCESS", "DEPLOYMENT_FAIL"}),
    "META_SERVICE_MANAGEMENT": frozenset({"APPLICATION_REDEPLOY", "APPLICATION_STOP", "GIT_PUSH"}),
    "META_CREDITS": frozenset({"CREDITS_ADDED"}),
}


class State(StrEnum):
    """Of a delivery: WAITING for its (next) try, SENT, or FAILED for good."""

    WAITING = "WAITING"
    SENT = "SENT"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class PublicEvent:
    """What happened, as the outside knows it. `data` names the things."""

    name: str
    date: int
    author_id: str
    owner_id: str | None
    subject: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hook:
    """Who wants to be told, of what. scope, events: None means all."""

    id: str
    owner_id: str
    kind: Kind
    name: str
    scope: tuple[str, ...] | None
    events: tuple[str, ...] | None
    targets: tuple[Mapping[str, str], ...]
    created_at: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing to deliver to one place. kind `letter`: a letter of the platform itself, without a hook."""

    id: int
    hook_id: str | None
    owner_id: str | None
    kind: str
    to: str
    content: Mapping[str, Any]
    state: State
    tries: int
    next_at: int
    error: str
    created_at: int
    ended_at: int | None
