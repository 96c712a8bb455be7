"""An instance that comes up against a bound: told by an event once an hour, in the app's activity once a day."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from havre import observe
from havre.apps import tables
from havre.apps.model import Action, InstanceState
from havre.apps.strains import Strains
from havre.drivers.bwrap import Strain
from havre.kernel.config import Paths
from havre.kernel.events import Bus, events_after
from havre.kernel.store import Store, events_schema
from havre.kernel.units import Unit
from tests.room.api_rig import HandClock
from tests.room.build_rig import a_deployment, an_app, an_instance

pytestmark = pytest.mark.anyio
HOUR_MS = 3_600_000
APP = an_app("node")
DEPLOYMENT = a_deployment(APP)
INSTANCES = [replace(an_instance(APP, DEPLOYMENT), state=InstanceState.UP, number=n) for n in range(2)]


class Machine:
    """Two instances of one app, made of plain values; the store is a real one. under_way: operations."""

    def __init__(self, store: Store, clock: HandClock, folder: Path) -> None:
        self.store, self.clock, self.under_way = store, clock, []  # type: ignore[var-annotated]
        self.metrics, self.paths = CollectorRegistry(), Paths(folder / "data", folder / "run", folder / "toolchains")
        self.units, self.operations = self, SimpleNamespace(live=lambda _: self.under_way)
        self.strains = Strains(SimpleNamespace(kernel=self))  # type: ignore[arg-type]

    async def strain(self, _: Any) -> Strain:
        return Strain()

    async def look(self, **pressure: Any) -> None:
        """What is so at this look, of both instances; at one between it was not."""
        for changes in ({}, pressure):
            seen = [Unit(each.id, "instance", {}, "running", 0, **changes) for each in INSTANCES]  # type: ignore[arg-type]
            await self.strains.look(INSTANCES, {unit.id: unit for unit in seen})

    async def activity(self) -> list[str]:
        """Oldest first, without what the platform is called."""
        rows = await self.store.read(lambda conn: tables.deployments(conn, APP.id, action=Action.STRAIN))
        assert {(each.state.value, each.author_name, each.commit_id) for each in rows} <= {
            ("OK", "Havre", DEPLOYMENT.commit_id)
        }
        return [each.cause.removeprefix("Monitoring/Strained: ") for each in reversed(rows)]

    async def events(self) -> list[str]:
        found = await self.store.read(lambda conn: events_after(conn, 0))
        return [str(each.facts["bound"]) for each in found if each.name == "apps.instance.strained"]


@pytest.fixture
async def machine(store_url: str, tmp_path: Path) -> AsyncIterator[Machine]:
    clock = HandClock()
    store = Store.open(store_url, clock=clock, bus=Bus())
    try:
        await store.migrate([events_schema(), tables.SCHEMA, observe.SCHEMA])
        await store.write(lambda tx: (tables.insert_app(tx, APP), tables.insert_deployment(tx, DEPLOYMENT)))
        for each in INSTANCES:
            await store.write(lambda tx, each=each: tables.insert_instance(tx, each))  # type: ignore[misc]
        yield Machine(store, clock, tmp_path)
    finally:
        store.close()


async def test_a_bound_is_a_line_of_activity_once_a_day_however_many_events_there_are(machine: Machine) -> None:
    await machine.look(is_beset=True)
    assert await machine.events() == ["connections"] * 2, "of each instance"
    for _ in range(3):
        machine.clock.at += 2 * HOUR_MS
        await machine.look(is_beset=True)
    assert len(await machine.events()) == 8
    (line,) = await machine.activity()
    assert line.startswith("it has as many connections open as an instance may have")
    await machine.look(is_out=True)
    assert (await machine.activity())[1:] == [
        "it has as many connections open to the outside as an instance may have: the next waits for an end"
    ]
    machine.clock.at += 25 * HOUR_MS
    await machine.look(is_beset=True)
    assert (await machine.activity())[2:] == [line], "another day"


async def test_nothing_is_put_before_a_deployment_that_is_under_way(machine: Machine) -> None:
    machine.under_way = [SimpleNamespace(key=APP.id)]
    await machine.look(is_beset=True)
    assert await machine.events() == ["connections"] * 2 and await machine.activity() == []
