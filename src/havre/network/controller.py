"""The network room alone, as a program: what the lab kills and starts again.

`python -m havre.network.controller DIR [KILL_AT]` holds the state of DIR, carries on what is under way there, and reads
requests as lines of JSON from its standard input: `{"do": "begin" | "confirm" | "pause" | "resume" | "revert", …}`.
The daemon runs the same parts as the room `network`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import structlog

from havre.base.errors import HavreError
from havre.kernel.clock import SystemClock
from havre.kernel.context import configure_log
from havre.kernel.events import Bus
from havre.kernel.operations import SCHEMA as OPERATIONS_SCHEMA
from havre.kernel.operations import Operations as Engine
from havre.kernel.store import Store, Tx, events_schema
from havre.network import intents, operations, tables
from havre.network.work import Work

log = structlog.get_logger()
DRIVE_S = 0.1


async def serve(folder: Path, kill_at: str = "") -> None:
    """Until its standard input ends."""
    clock, bus = SystemClock(), Bus()
    store = open_store(folder, bus)
    try:
        engine = Engine(store=store, bus=bus, clock=clock, node="lab", around=_killer(kill_at) if kill_at else None)
        await store.migrate([events_schema(), OPERATIONS_SCHEMA, tables.SCHEMA])
        work = Work(store, engine, clock, folder)
        made = operations.operations(lambda: work)
        engine.register((made.advance, made.retreat))
        async with anyio.create_task_group() as group:
            group.start_soon(engine.run)
            group.start_soon(_drive, store, engine, made, clock)
            await _requests(store, engine, made)
            group.cancel_scope.cancel()
    finally:
        store.close()


def open_store(folder: Path, bus: Bus | None = None) -> Store:
    """The state of a controller's folder."""
    return Store.open(f"sqlite:///{folder / 'network.db'}", clock=SystemClock(), bus=bus or Bus())


async def _drive(store: Store, engine: Engine, made: operations.Operations, clock: SystemClock) -> None:
    while True:
        await store.write(lambda tx: intents.drive(tx, engine, made))
        await clock.sleep(DRIVE_S)


async def _requests(store: Store, engine: Engine, made: operations.Operations) -> None:
    while line := await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
        asked: dict[str, Any] = json.loads(line)
        what = asked.pop("do")
        try:
            await store.write(partial(_carry_out, engine=engine, made=made, what=what, asked=asked))
        except HavreError as error:
            log.warning("network.request.refused", what=what, error=error.message)


def _carry_out(tx: Tx, *, engine: Engine, made: operations.Operations, what: str, asked: dict[str, Any]) -> None:
    if what == "revert":
        intents.revert(tx, engine, made, **asked)
        return
    kinds: dict[str, Callable[..., Any]] = {
        "begin": intents.begin,
        "confirm": intents.confirm,
        "pause": intents.pause,
        "resume": intents.resume,
    }
    kinds[what](tx, **asked)


def _killer(kill_at: str) -> Any:
    async def around(kind: str, step: str, phase: str) -> None:
        if f"{kind}/{step}/{phase}" == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    return around


if __name__ == "__main__":
    configure_log(stream=sys.stderr)
    anyio.run(serve, Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
