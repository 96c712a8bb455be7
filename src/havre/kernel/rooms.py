"""What a room hands to the daemon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from havre.kernel.operations import Operation
from havre.kernel.reconcile import Reconciler
from havre.kernel.store import Schema, Tx


@dataclass(frozen=True, slots=True)
class Health:
    """How a room is: `error` is empty when all is well; `backlog` counts what waits; `figures` are for the operator."""

    error: str = ""
    backlog: int = 0
    figures: dict[str, float] | None = None


@dataclass(frozen=True)
class Loop:
    """A task of the room that runs as long as the daemon; it restarts with a pause when it fails."""

    name: str
    run: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Room:
    """`restored` is called in the first start's transaction after the state came from a backup: what it tells of this
    machine (what runs, what was built, what was read) is not true any more."""

    name: str
    schema: Schema | None = None
    operations: tuple[Operation[Any], ...] = ()
    reconcilers: tuple[Reconciler, ...] = ()
    loops: tuple[Loop, ...] = ()
    health: Callable[[], Awaitable[Health]] | None = None
    start: Callable[[], Awaitable[None]] | None = None
    restored: Callable[[Tx], None] | None = None
