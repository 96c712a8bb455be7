"""An instance that is gone is replaced by one other, also when somebody looks between its row and its start."""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from havre import governance, observe
from havre.apps import tables
from havre.apps.decide import Replace
from havre.apps.launch import Launch
from havre.apps.model import DeploymentState, Instance, InstanceState, Release
from havre.apps.reconcile import Reconcile
from havre.apps.runtimes import Plan
from havre.apps.watch import Watch
from havre.apps.work import Work
from havre.base.errors import UnavailableError
from havre.base.ids import UnitId
from havre.kernel.config import Config, Paths
from havre.kernel.events import Bus
from havre.kernel.kernel import Kernel
from havre.kernel.operations import SCHEMA, Operations
from havre.kernel.store import Store, Tx, events_schema
from havre.kernel.units import Exit, Unit
from tests.room.build_rig import a_deployment, an_app, an_instance
from tests.trials import FastClock

pytestmark = pytest.mark.anyio
PLAN = Plan("node", (), (), "node .")


class Shelf:
    """The units that the test put there; looking at them is all that is asked."""

    def __init__(self) -> None:
        self.units: dict[str, Unit] = {}

    async def seen(self) -> tuple[Unit, ...]:
        return tuple(self.units.values())

    async def get(self, id: UnitId) -> Unit | None:
        return self.units.get(id)

    async def forget(self, id: UnitId) -> None:
        self.units.pop(id, None)


class World:
    """One app with one instance that serves, and the loop that has it replaced."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel, self.shelf = kernel, cast(Shelf, kernel.units)
        self.work = Work(kernel)
        self.reconcile = Reconcile(self.work, Watch(self.work))
        self.started: list[str] = []
        self.asked: list[str] = []
        cast(Any, self.work).launch = self._launch
        cast(Any, self.work).start_instance = self._start
        cast(Any, self.reconcile.starts).ask = lambda steps, _loads: self.asked.extend(
            str(each.instance.id) for each in steps
        )

    async def _launch(self, *_: Any, **__: Any) -> Launch:
        return Launch(("node", "."))

    async def _start(self, _app: Any, _deployment: Any, instance: Instance, *_: Any) -> None:
        self.started.append(instance.id)
        raise UnavailableError("far enough")

    async def serve(self) -> Instance:
        app = an_app("node")
        made = a_deployment(app)
        made = replace(made, state=DeploymentState.OK, release_id=made.id)
        instance = replace(an_instance(app, made), state=InstanceState.UP)

        def write(tx: Tx) -> None:
            tables.insert_app(tx, replace(app, serving=made.id))
            tables.insert_deployment(tx, made)
            tables.insert_release(tx, Release(made.id, app.id, "c" * 40, "key", asdict(PLAN), 1, ""))
            tables.insert_instance(tx, instance)

        await self.kernel.store.write(write)
        self.shelf.units[instance.id] = Unit(UnitId(instance.id), "app", {"app": app.id}, "running", 0)
        return instance

    def end(self, instance: Instance) -> None:
        ended = Exit(code=3, signal=None, oom=False, at=0)
        self.shelf.units[instance.id] = replace(self.shelf.units[instance.id], state="exited", exit=ended)

    async def replace(self, instance: Instance) -> None:
        async with anyio.create_task_group() as group:
            with contextlib.suppress(UnavailableError):
                await self.reconcile.starts._replace(Replace(instance, True), group)

    async def wanted(self) -> list[str]:
        return [str(each.id) for each in await self.kernel.store.read(lambda conn: tables.instances(conn))]


@pytest.fixture
async def world(store_url: str) -> AsyncIterator[World]:
    base = Path(tempfile.mkdtemp(prefix="hvp ", dir="/tmp"))
    clock, bus = FastClock(), Bus()
    store = Store.open(store_url, clock=clock, bus=bus)
    paths = Paths(data=base / "data", run=base / "run", toolchains=base / "toolchains")
    paths.create()
    kernel = Kernel(
        config=Config(), paths=paths, clock=clock, rng=random.Random(1), store=store, bus=bus,
        operations=Operations(store=store, bus=bus, clock=clock, node="n"), units=cast(Any, Shelf()), environment={},
    )  # fmt: skip
    await store.migrate([events_schema(), SCHEMA, tables.SCHEMA, observe.tables.SCHEMA, governance.SCHEMA])
    try:
        yield World(kernel)
    finally:
        store.close()
        shutil.rmtree(base)


async def test_who_looks_between_the_row_of_a_successor_and_its_start_does_not_take_it_for_lost(world: World) -> None:
    old = await world.serve()
    world.end(old)
    write = world.kernel.store.write

    async def write_and_look(work: Callable[[Tx], Any]) -> Any:
        cast(Any, world.kernel.store).write = write
        done = await write(work)
        await world.reconcile.instances()
        return done

    cast(Any, world.kernel.store).write = write_and_look
    await world.replace(old)
    assert world.started == await world.wanted() != [old.id], "one other takes its place"
    assert world.asked == [], "and nobody asks for another yet"
    await world.reconcile.instances()
    assert world.asked == world.started, "a start that failed leaves one that is asked for again"


async def test_an_instance_that_runs_is_not_replaced_because_somebody_saw_it_before_it_did(world: World) -> None:
    old = await world.serve()
    await world.replace(old)
    assert world.started == [] and await world.wanted() == [old.id]
    world.end(old)
    await world.replace(old)
    assert len(world.started) == 1
