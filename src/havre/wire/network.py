"""Migrations of origins over the wire."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from havre.wire.models import Wire

Word = Annotated[str, Field(max_length=40)]


class MigrationRequest(Wire):
    """`POST /v2/havre/network/migrations`; `intent` is the YAML tree."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    intent: Annotated[str, Field(max_length=1_000_000)]
    goal: Word = "CLEANED"


class MigrationObject(Wire):
    id: str
    stage: str
    goal: str
    paused: bool
    note: str
    createdAt: int
    changedAt: int


class EvidenceObject(Wire):
    at: int
    stage: str
    kind: str
    words: str
    facts: dict[str, Any]


class MigrationDetail(MigrationObject):
    evidence: list[EvidenceObject]


class Confirmation(Wire):
    """`POST …/confirmations`: an upstream's name, or `registered`."""

    what: Word
    words: Annotated[str, Field(max_length=2000)] = ""


class Goal(Wire):
    goal: Word = ""


class Told(Wire):
    text: str
