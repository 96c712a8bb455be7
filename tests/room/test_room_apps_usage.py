"""What apps used: a point a minute for a day, one a quarter of an hour for a week, through any restart of the control plane."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from havre.apps import tables, usage_tables
from havre.apps.model import App, AppState, Instance, InstanceState
from havre.apps.usage import UsageHistory
from havre.apps.usage_tables import DAY_MS, MINUTE_MS, QUARTER_MS, USAGE, Point
from havre.base.ids import AppId, DeploymentId, InstanceId, OwnerId
from havre.kernel.events import Bus
from havre.kernel.store import Store, events_schema
from tests.room.api_rig import HandClock, api_rig

pytestmark = pytest.mark.anyio
APP = AppId("app")
NOON = 1_800_000_000_000 // QUARTER_MS * QUARTER_MS
INSTANCE = Instance(
    InstanceId("instance"), APP, DeploymentId("deployment"), 1, 0, "XS", "c0ffee", InstanceState.UP, NOON, None
)
ROW = App(
    id=APP, owner_id=OwnerId("orga"), name="shop", description="", runtime="node", zone="par", state=AppState.SHOULD_BE_UP,
    min_instances=1, max_instances=1, min_flavor="XS", max_flavor="XS", build_flavor="XS", separate_build=False,
    lifetime="REGULAR", sticky_sessions=False, homogeneous=False, cancel_on_push=False, force_https=False, branch="master",
    commit_id=None, serving=None, generation=1, uid=1, created_at=NOON, deployed_at=NOON, deleted=False,
)  # fmt: skip


class Machine:
    """One instance of one app, its control group and a clock made of plain values; the store is a real one."""

    def __init__(self, store: Store, clock: HandClock) -> None:
        self.store, self.clock = store, clock
        self.units = self
        self.cpu_ms, self.memory = 0.0, 512 * 1024**2
        self.history = self.restarted()

    def restarted(self) -> UsageHistory:
        self.history = UsageHistory(self)  # type: ignore[arg-type]
        return self.history

    async def usage(self, _: Any) -> Any:
        return SimpleNamespace(cpu_ms=self.cpu_ms, memory_bytes=self.memory)

    async def passes(self, *, ms: int, busy: float, count: int = 1) -> None:
        for _ in range(count):
            self.clock.at += ms
            self.cpu_ms += ms * busy
            await self.history.pass_once()

    async def points(self, since: int = 0) -> list[Point]:
        return list(await self.history.of_app(APP, since=since))

    async def rows(self) -> int:
        count = await self.store.read(lambda conn: conn.scalar(sa.select(sa.func.count()).select_from(USAGE)))
        return int(count or 0)

    async def remember(self, points: list[tuple[int, float]]) -> None:
        """Minutes that were written at some time."""

        def work(tx: Any) -> None:
            for at, cpu in points:
                usage_tables.put(tx, {APP: Point(at, cpu, 50.0)})

        await self.store.write(work)


@pytest.fixture
async def machine(store_url: str) -> AsyncIterator[Machine]:
    clock = HandClock()
    clock.at = NOON
    store = Store.open(store_url, clock=clock, bus=Bus())
    try:
        await store.migrate([events_schema(), tables.SCHEMA])
        await store.write(lambda tx: (tables.insert_app(tx, ROW), tables.insert_instance(tx, INSTANCE)))
        yield Machine(store, clock)
    finally:
        store.close()


async def test_a_point_says_what_share_of_its_size_an_app_used(machine: Machine) -> None:
    await machine.history.pass_once()
    assert await machine.points() == []
    await machine.passes(ms=20_000, busy=0.5, count=2)
    (point,) = await machine.points()
    assert (point.at, round(point.cpu), round(point.memory)) == (NOON, 50, 50)


async def test_a_clock_that_was_ahead_and_came_back_holds_up_no_quarter(machine: Machine) -> None:
    for begin in (NOON + 30 * DAY_MS, NOON):  # ahead, and right again
        await machine.remember([(begin + minute * MINUTE_MS, 40.0) for minute in range(15)])
        made = await machine.store.write(lambda tx, now=begin + QUARTER_MS: usage_tables.fold(tx, now=now))  # type: ignore[misc]
        assert made == 1
    rows = await machine.store.read(lambda conn: conn.execute(sa.select(USAGE.c.at, USAGE.c.span_ms)).all())
    assert (NOON, QUARTER_MS) in [tuple(each) for each in rows]


async def test_what_was_written_is_there_after_a_restart_and_only_the_minute_under_way_is_lost(
    machine: Machine,
) -> None:
    await machine.history.pass_once()
    await machine.passes(ms=20_000, busy=0.5, count=10)
    before = await machine.points()
    assert [each.at for each in before] == [NOON + each * MINUTE_MS for each in range(4)]
    machine.restarted()
    assert await machine.points() == before[:-1]
    await machine.passes(ms=20_000, busy=0.25, count=4)
    after = await machine.points()
    assert after[:3] == before[:-1] and [each.at for each in after] == sorted({each.at for each in after})


async def test_a_day_is_kept_in_minutes_and_a_week_in_quarters_and_nothing_more(machine: Machine) -> None:
    for day in range(9):  # as the days went by
        begin = NOON + day * DAY_MS
        await machine.remember([(begin + at * QUARTER_MS, 10.0) for at in range(96)])
        await machine.remember([(begin + at * QUARTER_MS + MINUTE_MS, 30.0) for at in range(96)])
        machine.clock.at = begin + DAY_MS
        await machine.restarted().pass_once()
    now = machine.clock.at
    found = await machine.points()
    assert [each.at for each in found] == sorted({each.at for each in found})
    assert found[0].at >= now - 7 * DAY_MS and found[0].at <= now - 7 * DAY_MS + QUARTER_MS
    old = [each for each in found if each.at < now - DAY_MS]
    assert {(each.span_ms, round(each.cpu)) for each in old} == {(QUARTER_MS, 20)}
    assert {each.span_ms for each in found if each.at >= now - DAY_MS} == {MINUTE_MS}
    assert await machine.rows() <= 7 * 96 + 1 + 2 * 96 + 2


async def test_quarters_that_nobody_was_there_to_make_are_made_at_the_next_start(machine: Machine) -> None:
    await machine.remember([(NOON + at * MINUTE_MS, float(at)) for at in range(30)])
    machine.clock.at = NOON + 3 * QUARTER_MS
    for _ in range(2):  # a repeat makes none twice
        await machine.restarted().pass_once()
        assert await machine.rows() == 30 + 2
    machine.clock.at = NOON + 2 * DAY_MS
    await machine.restarted().pass_once()
    assert [(each.at, each.cpu) for each in await machine.points()] == [(NOON, 7.0), (NOON + QUARTER_MS, 22.0)]


async def test_an_app_that_is_gone_meanwhile_stops_nobody_from_being_remembered(machine: Machine) -> None:
    other = replace(ROW, id=AppId("other"), uid=2)
    await machine.store.write(lambda tx: tables.insert_app(tx, other))

    def work(tx: Any) -> None:
        usage_tables.put(tx, {AppId("gone"): Point(NOON, 1.0, 1.0), other.id: Point(NOON, 2.0, 2.0)})

    await machine.store.write(work)
    assert await machine.rows() == 1


async def test_the_week_is_read_by_a_token_and_by_nobody_else(tmp_path: Path) -> None:
    async with api_rig(tmp_path) as rig:
        owner = await rig.organisation(rig.operator)
        app = await rig.create_app(rig.operator, owner, "shop")
        now = rig.clock.at - rig.clock.at % QUARTER_MS
        old = Point(now - 3 * DAY_MS, 40.0, 60.0, QUARTER_MS)
        await rig.kernel.store.write(lambda tx: usage_tables.put(tx, {app: old}))
        path = f"/v4/stats/organisations/{owner}/resources/{app}/metrics?interval=P7D&span=PT15M"
        cpu, memory = await rig.operator.get(path)
        assert cpu["data"] == [{"timestamp": old.at * 1000, "value": "40.00"}]
        assert memory["data"] == [{"timestamp": old.at * 1000, "value": "60.00"}]
        stranger = await rig.person("eve")
        assert (await stranger.call("GET", path)).status_code == 404
        assert (await rig.client.get(path)).status_code == 401
