"""What operators read of the installation and its machine, over the wire. Moments are ms since the epoch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from havre.wire.models import Wire
from havre.wire.overview import ProgressStep


class RoomStatus(Wire):
    name: str
    error: str
    backlog: int
    figures: dict[str, float]


class OperationStatus(Wire):
    """`steps`: those of the operation in their order, with those that are to come."""

    id: str
    kind: str
    key: str
    status: str
    step: str
    progress: str
    error: str
    since: int
    steps: list[ProgressStep] = Field(default_factory=list)


class PlatformStatus(Wire):
    """`GET /v2/havre/status`."""

    version: str
    rooms: list[RoomStatus]
    operations: list[OperationStatus]


class FindingObject(Wire):
    """`ok`: the machine can; `follows`: what that means for a person; `fatal`: nothing goes without it."""

    what: str
    ok: bool
    seen: str
    follows: str
    fatal: bool


class DiskPart(Wire):
    """A part of what the installation keeps. bytes None: it could not be measured in time. limit None: there is none;
    it holds for the whole part, or for each app or release in it. isInside: of the data folder."""

    name: str
    place: str
    isInside: bool
    bytes: int | None
    limitBytes: int | None
    limitOf: Literal["all", "app", "release"] | None


class DiskObject(Wire):
    """The disk of the data folder. `reserveBytes`: what builds leave free for everybody else."""

    place: str
    totalBytes: int
    freeBytes: int
    freeFiles: int
    reserveBytes: int
    reserveFiles: int
    parts: list[DiskPart]
    measuredAt: int
