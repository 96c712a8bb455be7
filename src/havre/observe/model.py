"""The nouns of logs: where lines come from, what is kept of them, how they are asked for.

An event's id is opaque to whoever reads it and orders events: it holds the row's sequence number.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from havre.base.errors import InvalidError

USER_SERVICE = "bas-user.service"  # what an app prints
DEPLOY_SERVICE = "bas-deploy.service"  # what the platform and a build say

ResolveHost = Callable[[sa.Connection, str, str], str | None]  # a request's host name and path -> the id of its app

_ID = re.compile("[0-7][0-9A-F]{15}")


def event_id(seq: int) -> str:
    """The id that clients see and send back as `Last-Event-ID`."""
    return f"{seq:016X}"


def seq_of(id: str) -> int:
    """Raises InvalidError when `id` is not one of ours."""
    if not _ID.fullmatch(id):
        raise InvalidError(f"{id[:40]!r} is not the id of an event")
    return int(id, 16)


@dataclass(frozen=True, slots=True)
class LogSource:
    """A regular file that somebody appends raw lines to. `id` is chosen by whoever registers it."""

    id: str
    app_id: str
    owner_id: str
    path: Path
    deployment_id: str | None = None
    instance_id: str | None = None
    commit: str | None = None
    service: str = USER_SERVICE


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a source is read: everything before byte `offset` is kept as rows, or counted in `dropped`.

    `at` is the moment of its last line. `drained`: the source has ended and nothing of it is left to read.
    """

    offset: int = 0
    at: int = 0
    dropped: int = 0
    drained: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    at: int
    message: str
    severity: str = "info"


@dataclass(frozen=True, slots=True)
class Taken:
    """What one pass took from one source: its lines and the cursor after them, kept together or not at all."""

    source: LogSource
    lines: tuple[Line, ...]
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class LogRecord:
    seq: int
    app_id: str
    source_id: str
    deployment_id: str | None
    instance_id: str | None
    commit: str | None
    service: str
    at: int
    message: str
    severity: str

    @property
    def id(self) -> str:
        return event_id(self.seq)


class AccessLine(NamedTuple):
    """One request as the edge saw it. `at` is the moment it ended; `duration_ms` has fractions.

    `route` is the edge's name for what took it: requests to a host with equal routes are for the same app.
    """

    app_id: str
    at: int
    host: str
    method: str
    path: str
    scheme: str
    protocol: str
    status: int
    duration_ms: float
    bytes_in: int
    bytes_out: int
    source_ip: str
    source_port: int
    request_id: str = ""
    route: str = ""


class AccessEntry(NamedTuple):
    """A request to be kept: what must be known of it at once, and `text`, in which the rest is read when asked for.

    `host` is as the visitor wrote it. Requests to a host with equal routes are for the same app; no `route` is the
    whole host. (A tuple, since there is one for every request of everybody: a frozen dataclass takes five times as
    long to make.)
    """

    at: int
    host: str
    route: str
    status: int
    duration_ms: float
    text: str


OfApp = tuple[str, AccessEntry]
"""A request and the id of the app that was asked."""


@dataclass(frozen=True, slots=True)
class AccessRecord:
    seq: int
    line: AccessLine

    @property
    def id(self) -> str:
        return event_id(self.seq)

    @property
    def at(self) -> int:
        return self.line.at


@dataclass(frozen=True, slots=True)
class FileCursor:
    """How far one file of the edge's access log is read. `head` tells it from a later file with its inode."""

    inode: int
    head: str
    offset: int


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which lines of an app. `since` is included, `until` is not; `filter` is a substring in any case;
    empty tuples mean all; `after_id` is the last event that the reader has."""

    app_id: str
    since: int | None = None
    until: int | None = None
    deployment_id: str | None = None
    instance_ids: tuple[str, ...] = ()
    filter: str | None = None
    services: tuple[str, ...] = ()
    limit: int | None = None
    after_id: str | None = None


@dataclass(frozen=True, slots=True)
class AccessQuery:
    """Which requests of an app; see LogQuery."""

    app_id: str
    since: int | None = None
    until: int | None = None
    limit: int | None = None
    after_id: str | None = None


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """How big the store is: its file, and what of it is free again."""

    file_bytes: int
    free_bytes: int
    lines: int
