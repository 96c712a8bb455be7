"""What is in an archive, as its last member tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

FORMAT = 1
HEAD, MANIFEST, SEAL = "havre-backup.json", "manifest.json", "manifest.sha256"
DATABASE, SETTINGS = "havre.db", "havre.toml"


@dataclass(frozen=True, slots=True)
class Item:
    """One member. kind: `file`, `database`, or `repository` (a git bundle, which becomes a bare repository)."""

    name: str
    kind: str
    bytes: int
    sha256: str
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class Manifest:
    """schema: for each room, the step of its tables. settings: what the installation was started with, as far as
    the next start must be told. made_at: ms."""

    format: int
    havre: str
    made_at: int
    schema: dict[str, int]
    settings: dict[str, Any]
    items: tuple[Item, ...] = field(default=())

    @property
    def repositories(self) -> int:
        return sum(1 for each in self.items if each.kind == "repository")

    @property
    def bytes(self) -> int:
        return sum(each.bytes for each in self.items)
