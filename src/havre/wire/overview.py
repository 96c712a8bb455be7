"""What pages show at a glance, over the wire. Moments are ms since the epoch."""

from __future__ import annotations

from typing import Literal

from havre.wire.models import Wire

Condition = Literal["running", "deploying", "failed", "stopped", "asleep", "never deployed"]


class LastDeployment(Wire):
    id: str
    number: int
    state: str
    action: str
    commit: str | None
    author: str
    cause: str
    startedAt: int
    endedAt: int | None
    error: str


class Glance(Wire):
    """An app in a list of many. instances: those that serve now, by flavor."""

    id: str
    name: str
    kind: str
    kindName: str
    state: str
    condition: Condition
    instances: dict[str, int]
    booting: dict[str, int]
    commit: str | None
    branch: str
    url: str | None
    tags: list[str]
    deployment: LastDeployment | None
    deployedAt: int
    createdAt: int


class Overview(Wire):
    """An organisation. can: what the caller's role allows there."""

    id: str
    name: str
    role: str
    isPersonal: bool
    can: list[str]
    applications: list[Glance]


class ProgressStep(Wire):
    name: str
    state: Literal["waiting", "begun", "done", "undone"]
    beganAt: int | None
    endedAt: int | None


class Progress(Wire):
    """How far a deployment is: its steps in their order, with those that are to come."""

    id: str
    number: int
    state: str
    action: str
    commit: str | None
    cause: str
    author: str
    startedAt: int
    endedAt: int | None
    error: str
    note: str
    steps: list[ProgressStep]


class CommitObject(Wire):
    """A commit that can be deployed. `subject`: the first line of its message."""

    id: str
    subject: str
    author: str
    at: int


class Requests(Wire):
    """Requests of one span of time, by the status that they were answered with."""

    at: int
    count: int
    statusCodes: dict[str, int]


class Usage(Wire):
    """What a running instance uses now. None: this machine does not count it."""

    id: str
    name: str
    flavor: str
    number: int
    state: str
    since: int
    memoryBytes: int | None
    memoryLimitBytes: int
    cpuMs: float | None
    inFlight: int


class Session(Wire):
    """A browser that somebody is signed in at."""

    id: str
    source: str
    agent: str
    createdAt: int
    seenAt: int
    isCurrent: bool
