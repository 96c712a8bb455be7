"""The nouns of drains, with Clever Cloud's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from havre.drivers.outbound import Outbound
from havre.observe.model import LogRecord

Recipient = Mapping[str, str]  # type, url, and what its type needs: username, password, apiKey, index …


class Execution(StrEnum):
    RUNNING = "RUNNING"
    RETRYING = "RETRYING"
    NOT_RUNNING = "NOT_RUNNING"


@dataclass(frozen=True, slots=True)
class Drain:
    """What somebody wants: the lines of an app, from `after` on, at a recipient."""

    id: str
    owner_id: str
    app_id: str
    kind: str
    recipient: Recipient
    is_enabled: bool
    changed_at: int
    author_id: str
    created_at: int


@dataclass(frozen=True, slots=True)
class DrainState:
    """How far a drain has come: everything up to sequence number `seq` has been taken by its recipient."""

    seq: int
    execution: Execution
    error: str
    tries: int
    tried_at: int | None
    next_at: int | None
    failing_since: int | None


class Sender(Protocol):
    """Sends lines to one kind of recipient; all of them or an error."""

    schemes: Mapping[str, int]  # of its URL, each with its default port
    needs: tuple[str, ...]  # what its recipient must say besides the URL

    async def send(self, outbound: Outbound, recipient: Recipient, lines: Sequence[LogRecord]) -> None:
        """Raises UnavailableError (try again), InvalidError (nothing may go there)."""
        ...
