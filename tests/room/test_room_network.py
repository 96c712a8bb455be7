"""Migrations on the real kernel: each arrow failed, repeated and killed at each step; pause, confirm, revert."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from havre.base.errors import ConflictError, InvalidError, NotFoundError
from havre.base.ids import OperationId
from havre.kernel.clock import SystemClock
from havre.kernel.events import Bus
from havre.kernel.operations import SCHEMA, OperationView
from havre.kernel.operations import Operations as Engine
from havre.kernel.store import Store, events_schema
from havre.network import intents, operations, tables
from havre.network.operations import ArrowArgs
from havre.network.work import Work
from tests.decide.network_rig import example
from tests.trials import FastClock, Trials, run_to_end

pytestmark = pytest.mark.anyio


class Routers(Work):
    """The steps with routers that only remember where they stand; what is refused is said by name."""

    at: str = "SHADOW"
    refused: str = ""

    async def preflight(self, id: str, name: str) -> None:
        await self.read(id)

    async def join(self, id: str, name: str) -> None:
        pass

    async def probe(self, id: str, name: str) -> None:
        pass

    async def switch(self, id: str, name: str) -> str:
        object.__setattr__(self, "at", name)
        if name == self.refused:
            raise ConflictError(f"{name} is taken back: far has no route")
        return "well"

    async def undo_switch(self, id: str, name: str) -> None:
        object.__setattr__(self, "at", "SHADOW")

    async def retreat(self, id: str, name: str) -> str:
        object.__setattr__(self, "at", "SHADOW")
        return "back"


@dataclass
class World:
    store: Store
    bus: Bus
    work: Routers
    made: operations.Operations = field(init=False)

    def __post_init__(self) -> None:
        self.made = operations.operations(lambda: self.work)

    def operations(self, around: Any) -> Engine:
        engine = Engine(store=self.store, bus=self.bus, clock=FastClock(), node="test", around=around)
        engine.register((self.made.advance, self.made.retreat))
        return engine

    async def start(self, engine: Engine) -> OperationId:
        args = ArrowArgs("m", "FLIPPED")
        return await self.store.write(lambda tx: engine.start(tx, self.made.advance, args, key=operations.key_of("m")))

    async def migration(self) -> tables.Migration:
        found = await self.store.read(lambda conn: tables.migration(conn, "m"))
        assert found is not None
        return found


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    bus, clock = Bus(), SystemClock()
    store = Store.open(f"sqlite:///{folder / f'{clock.monotonic()}.db'}", clock=clock, bus=bus)
    try:
        await store.migrate([events_schema(), SCHEMA, tables.SCHEMA])
        await store.write(lambda tx: intents.begin(tx, id="m", content=example()))
        await store.write(lambda tx: tables.change(tx, "m", stage="SHADOW"))
        yield World(store, bus, Routers(store, None, clock, folder))  # type: ignore[arg-type]
    finally:
        store.close()


async def holds(made: World, view: OperationView) -> None:
    """Done: the stage is reached, and the routers stand there. Undone: neither, and somebody has to look."""
    found = await made.migration()
    if view.status == "done":
        assert (found.stage, made.work.at, found.is_paused) == ("FLIPPED", "FLIPPED", False)
    else:
        assert (found.stage, made.work.at, found.is_paused) == ("SHADOW", "SHADOW", True)


async def trials(folder: Path) -> Trials:
    async with world(folder) as some:
        return Trials(some.made.advance, lambda: world(folder), holds)


async def test_an_arrow_that_fails_at_any_step_is_taken_back(tmp_path: Path) -> None:
    made = await trials(tmp_path)
    await made.plain()
    await made.fail_each()


async def test_an_arrow_resumes_after_kill_9_at_any_step(tmp_path: Path) -> None:
    made = await trials(tmp_path)
    await made.kill_each()


async def test_what_a_gate_refuses_is_taken_back_and_says_why(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        made.work.__dict__["refused"] = "FLIPPED"
        object.__setattr__(made.work, "refused", "FLIPPED")
        engine = made.operations(None)
        view = await run_to_end(engine, await made.start(engine))
        assert view.status == "undone"
        await holds(made, view)
        assert (await made.migration()).note == "FLIPPED is taken back: far has no route"
        story = await made.store.read(lambda conn: tables.evidence(conn, "m"))
        assert [(each.kind, each.stage) for each in story] == [("taken_back", "FLIPPED")]


async def test_the_next_arrow_is_begun_once_and_not_while_it_is_paused(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        engine = made.operations(None)
        await made.store.write(lambda tx: intents.pause(tx, id="m"))
        assert await made.store.write(lambda tx: intents.drive(tx, engine, made.made)) == 0
        await made.store.write(lambda tx: intents.resume(tx, id="m", goal="FLIPPED"))
        assert await made.store.write(lambda tx: intents.drive(tx, engine, made.made)) == 1
        assert await made.store.write(lambda tx: intents.drive(tx, engine, made.made)) == 0
        (view,) = await made.store.read(engine.live)
        await run_to_end(engine, view.id)
        assert (await made.migration()).stage == "FLIPPED"
        assert await made.store.write(lambda tx: intents.drive(tx, engine, made.made)) == 0


async def test_a_stage_is_left_by_one_call(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.store.write(lambda tx: tables.change(tx, "m", stage="FLIPPED"))
        engine = made.operations(None)
        said = await made.store.write(lambda tx: intents.revert(tx, engine, made.made, id="m"))
        assert said == "FLIPPED is left"
        (view,) = await made.store.read(engine.live)
        assert (await run_to_end(engine, view.id)).status == "done"
        found = await made.migration()
        assert (found.stage, found.is_paused, made.work.at) == ("SHADOW", True, "SHADOW")


async def test_what_is_under_way_is_cancelled_by_the_same_call(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        engine = made.operations(None)
        id = await made.start(engine)
        said = await made.store.write(lambda tx: intents.revert(tx, engine, made.made, id="m"))
        assert "taken back to SHADOW" in said
        view = await run_to_end(engine, id)
        assert (view.status, view.cancelled) == ("undone", True)
        assert (await made.migration()).stage == "SHADOW"


async def test_what_cannot_be_asked_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        engine = made.operations(None)
        write = made.store.write
        with pytest.raises(ConflictError, match="already"):
            await write(lambda tx: intents.begin(tx, id="m", content=example()))
        with pytest.raises(InvalidError, match="not a stage on this way"):
            await write(lambda tx: intents.begin(tx, id="n", content=example(), goal="MULTI(9)"))
        with pytest.raises(InvalidError, match="nothing to migrate"):
            await write(lambda tx: intents.begin(tx, id="n", content=example().replace("    old_origin: 64500\n", "")))
        with pytest.raises(InvalidError, match="one of registered, hp, t1, t2, t3"):
            await write(lambda tx: intents.confirm(tx, id="m", what="t9", words=""))
        with pytest.raises(NotFoundError):
            await write(lambda tx: intents.pause(tx, id="none"))
        await write(lambda tx: tables.change(tx, "m", stage="DRAFT"))
        with pytest.raises(ConflictError, match="at its beginning"):
            await write(lambda tx: intents.revert(tx, engine, made.made, id="m"))
