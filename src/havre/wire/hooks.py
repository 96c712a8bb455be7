"""Notifications and drains over the wire."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from havre.wire.models import Wire


class NewWebhook(Wire):
    name: str | None = None
    urls: list[dict[str, str]] = Field(max_length=20)
    scope: list[str] | None = None
    events: list[str] | None = None


class Webhook(Wire):
    id: str
    name: str
    ownerId: str
    scope: list[str] | None
    events: list[str] | None
    urls: list[dict[str, str]]
    state: str = "ENABLED"
    createdAt: int
    failures: int


class NewEmailhook(Wire):
    name: str | None = None
    notified: list[dict[str, str | None]] | None = Field(default=None, max_length=20)
    scope: list[str] | None = None
    events: list[str] | None = None


class Emailhook(Wire):
    id: str
    name: str
    ownerId: str
    scope: list[str] | None
    events: list[str] | None
    notified: list[dict[str, str]]
    createdAt: int
    failures: int


class DeliveryObject(Wire):
    id: int
    to: str
    state: str
    tries: int
    error: str
    createdAt: int
    endedAt: int | None
    nextAt: int | None


class NewDrain(Wire):
    kind: str = "LOG"
    recipient: dict[str, Any]


class DrainStatus(Wire):
    id: str
    drainId: str
    status: str
    date: str
    authorId: str


class DrainExecution(Wire):
    status: str
    lastError: str | None
    attempt: int | None
    maxAttempt: int | None = None
    lastAttemptAt: str | None
    nextAttemptAt: str | None
    retryingSince: str | None


class DrainBacklog(Wire):
    msgRateOut: float = 0
    msgThroughputOut: float = 0
    msgBacklog: int


class DrainObject(Wire):
    id: str
    tenantId: str
    resourceId: str
    kind: str
    recipient: dict[str, str]
    status: DrainStatus
    execution: DrainExecution
    backlog: DrainBacklog


class DrainCheck(Wire):
    ok: bool
    message: str
