from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest
import sqlalchemy as sa

from havre.base.errors import BrokenError, ConflictError, InvalidError
from havre.kernel.clock import SystemClock
from havre.kernel.events import Bus, events_after
from havre.kernel.store import Schema, Store, Tx, events_schema

pytestmark = pytest.mark.anyio
METADATA = sa.MetaData()
ITEM = sa.Table("item", METADATA, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20)))
SCHEMA = Schema("trial", METADATA, (METADATA.create_all,))


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = Store.open(store_url, clock=SystemClock(), bus=Bus())
    yield opened
    opened.close()


def put(tx: Tx, id: int, name: str = "x") -> int:
    tx.conn.execute(sa.insert(ITEM).values(id=id, name=name))
    return id


def count(conn: sa.Connection) -> int:
    return conn.execute(sa.select(sa.func.count()).select_from(ITEM)).scalar_one()


async def test_what_is_acknowledged_is_read_again(store: Store) -> None:
    await store.migrate([events_schema(), SCHEMA])
    assert await store.write(lambda tx: put(tx, 1)) == 1
    assert await store.read(count) == 1


async def test_a_failing_write_takes_only_itself_down(store: Store) -> None:
    await store.migrate([events_schema(), SCHEMA])
    failures: list[Exception] = []

    async def write(id: int) -> None:
        def work(tx: Tx) -> None:
            put(tx, id)
            if id % 3 == 0:
                raise InvalidError("no")

        try:
            await store.write(work)
        except InvalidError as error:
            failures.append(error)

    async with anyio.create_task_group() as group:
        for id in range(30):
            group.start_soon(write, id)
    assert len(failures) == 10
    assert await store.read(count) == 20


async def test_a_taken_key_is_a_conflict(store: Store) -> None:
    await store.migrate([events_schema(), SCHEMA])
    await store.write(lambda tx: put(tx, 1))
    with pytest.raises(ConflictError):
        await store.write(lambda tx: put(tx, 1))


async def test_events_come_with_the_commit_and_never_without(store_url: str) -> None:
    bus = Bus()
    store = Store.open(store_url, clock=SystemClock(), bus=bus)
    await store.migrate([events_schema(), SCHEMA])

    def fails(tx: Tx) -> None:
        tx.emit("trial.item.lost")
        raise InvalidError("no")

    async with bus.subscribe("trial.") as events:
        with pytest.raises(InvalidError):
            await store.write(fails)
        await store.write(lambda tx: tx.emit("trial.item.put", subject="1", size=3))
        with anyio.fail_after(5):
            event = await events.receive()
    assert (event.name, event.subject, event.facts) == ("trial.item.put", "1", {"size": 3})
    assert [each.name for each in await store.read(lambda conn: events_after(conn, 0))] == ["trial.item.put"]
    store.close()


async def test_migrations_run_once_and_refuse_a_newer_database(store: Store) -> None:
    def second(conn: sa.Connection) -> None:
        conn.execute(sa.text("alter table item add column size integer"))

    await store.migrate([events_schema(), SCHEMA])
    newer = Schema("trial", METADATA, (METADATA.create_all, second))
    await store.migrate([newer])
    await store.migrate([newer])
    await store.write(lambda tx: tx.conn.execute(sa.text("insert into item (id, size) values (1, 2)")))
    with pytest.raises(BrokenError):
        await store.migrate([SCHEMA])


async def test_a_cancelled_writer_leaves_a_whole_write_or_none(store: Store) -> None:
    await store.migrate([events_schema(), SCHEMA])
    async with anyio.create_task_group() as group:
        group.start_soon(store.write, lambda tx: (put(tx, 1), put(tx, 2)))
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    await store.write(lambda tx: put(tx, 9))
    assert await store.read(count) in (1, 3)
