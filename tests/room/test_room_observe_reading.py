from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from havre import observe
from havre.base.errors import InvalidError
from havre.kernel.clock import SystemClock
from havre.observe import LogQuery, LogRecord
from tests.room.observe_rig import APP, Rig, opened, running

pytestmark = pytest.mark.anyio


async def read(rig: Rig, *, live: bool = False, count: int | None = None, **asked: Any) -> list[LogRecord]:
    """What an answer holds; of one that does not end, the first `count`."""
    records: list[LogRecord] = []
    with anyio.fail_after(20):
        async with aclosing(observe.logs(rig.kernel, LogQuery(APP, **asked), live=live)) as answer:
            async for record in answer:
                records.append(record)
                if len(records) == count:
                    break
    return records


def texts(records: list[LogRecord]) -> list[str]:
    return [each.message for each in records]


async def some_lines(rig: Rig) -> None:
    await rig.add("i1", deployment_id="deployment_1", instance_id="i1")
    await rig.add("i2", deployment_id="deployment_2", instance_id="i2")
    await rig.add("d2", deployment_id="deployment_2", service=observe.DEPLOY_SERVICE)
    rig.append("i1", "GET /100%\nPOST /a_b\n")
    rig.append("i2", "get /axb\n")
    rig.append("d2", "building\n")
    await rig.take()


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({}, ["GET /100%", "POST /a_b", "get /axb", "building"]),
        ({"deployment_id": "deployment_2"}, ["get /axb", "building"]),
        ({"instance_ids": ("i1",)}, ["GET /100%", "POST /a_b"]),
        ({"instance_ids": ("i1", "i2")}, ["GET /100%", "POST /a_b", "get /axb"]),
        ({"services": (observe.DEPLOY_SERVICE,)}, ["building"]),
        ({"filter": "get"}, ["GET /100%", "get /axb"]),
        ({"filter": "a_b"}, ["POST /a_b"]),
        ({"filter": "0%"}, ["GET /100%"]),
        ({"limit": 2}, ["GET /100%", "POST /a_b"]),
        ({"limit": 0}, []),
        ({"until": 1}, []),
        ({"since": 1 << 60}, []),
        ({"deployment_id": "nobody"}, []),
    ],
)
async def test_an_answer_holds_what_was_asked_for(tmp_path: Path, asked: dict[str, Any], wanted: list[str]) -> None:
    async with opened(tmp_path, clock=SystemClock()) as rig:
        await some_lines(rig)
        async with running(rig):
            assert texts(await read(rig, **asked)) == wanted


async def test_an_answer_is_read_in_pages_without_gap(tmp_path: Path) -> None:
    async with opened(tmp_path, clock=SystemClock()) as rig:
        await rig.add("s")
        rig.append("s", "".join(f"{number}\n" for number in range(1777)))
        await rig.take()
        async with running(rig):
            records = await read(rig)
            assert texts(records) == [str(number) for number in range(1777)]
            rest = await read(rig, after_id=records[600].id, limit=700)
            assert texts(rest) == [str(number) for number in range(601, 1301)]


async def test_another_apps_lines_are_not_shown(tmp_path: Path) -> None:
    async with opened(tmp_path, clock=SystemClock()) as rig:
        await rig.add("mine")
        await rig.add("theirs", app_id="app_2", deployment_id="deployment_9")
        rig.append("theirs", "secret\n")
        await rig.take()
        async with running(rig):
            assert await read(rig) == []
            assert await read(rig, deployment_id="deployment_9") == []


async def test_a_range_holds_what_was_written_just_before(tmp_path: Path) -> None:
    async with opened(tmp_path, clock=SystemClock()) as rig:
        async with running(rig):
            await rig.add("s")
            for number in range(5):
                rig.append("s", f"{number}\n")
                assert texts(await read(rig))[-1] == str(number)


async def test_a_follower_begins_now_and_a_deployments_follower_at_its_first_line(tmp_path: Path) -> None:
    async with opened(tmp_path, clock=SystemClock()) as rig:
        await rig.add("s", deployment_id="deployment_1")
        rig.append("s", "before\n")
        await rig.take()
        async with running(rig), anyio.create_task_group() as group:
            got: dict[str, list[str]] = {}

            async def follow(name: str, count: int, **asked: Any) -> None:
                got[name] = texts(await read(rig, live=True, count=count, **asked))

            group.start_soon(follow, "now", 1)
            group.start_soon(lambda: follow("deployment", 2, deployment_id="deployment_1"))
            group.start_soon(lambda: follow("since", 2, since=0))
            with anyio.fail_after(20):
                while len(got) < 3:  # when a follower's "now" is, only the follower knows
                    rig.append("s", "after\n")
                    await rig.clock.sleep(0.01)
        assert got == {"now": ["after"], "deployment": ["before", "after"], "since": ["before", "after"]}


async def test_what_was_written_is_told_to_all_who_follow_and_nobody_waits_where_nobody_does(tmp_path: Path) -> None:
    async with opened(tmp_path, clock=SystemClock()) as rig:
        await rig.add("s")
        assert not await observe.all_told(rig.kernel, APP, limit_s=20)  # nobody looks at the files either
        async with running(rig), anyio.create_task_group() as group:
            got: dict[str, list[str]] = {"a": [], "b": []}

            async def follow(name: str) -> None:
                async with aclosing(observe.logs(rig.kernel, LogQuery(APP, since=0), live=True)) as answer:
                    async for record in answer:
                        got[name].append(record.message)
                        if len(got[name]) == 40:
                            return

            for name in got:
                group.start_soon(follow, name)
            with anyio.fail_after(20):
                while len(rig.opened.reading._followers) < len(got):
                    await rig.clock.sleep(0.01)
                for number in range(40):
                    rig.append("s", f"{number}\n")
                    assert await observe.all_told(rig.kernel, APP, limit_s=20)
                    assert got["a"] == got["b"] == [str(each) for each in range(number + 1)]
                while await observe.all_told(rig.kernel, APP, limit_s=20):  # those who have left are not waited for
                    await rig.clock.sleep(0.01)


async def test_a_follower_who_does_not_take_what_it_is_given_is_waited_for_a_while(tmp_path: Path) -> None:
    async with opened(tmp_path, clock=SystemClock()) as rig:
        await rig.add("s")
        rig.append("s", "one\ntwo\n")
        await rig.take()
        async with running(rig), aclosing(observe.logs(rig.kernel, LogQuery(APP, since=0), live=True)) as answer:
            assert (await anext(answer)).message == "one"
            with anyio.fail_after(20):
                assert await observe.all_told(rig.kernel, APP, limit_s=0.1)


async def test_a_live_answer_ends_at_its_limit(tmp_path: Path) -> None:
    async with opened(tmp_path, clock=SystemClock()) as rig:
        await some_lines(rig)
        async with running(rig):
            assert len(await read(rig, live=True, since=0, limit=3)) == 3


@pytest.mark.parametrize("live", [False, True])
async def test_a_bounded_answer_waits_until_its_end_and_ends(tmp_path: Path, live: bool) -> None:
    async with opened(tmp_path) as rig:
        await rig.add("s")
        await rig.take()
        until = rig.hand.now() + 1_000_000
        got: list[LogRecord] = []
        async with running(rig), anyio.create_task_group() as group:

            async def ask() -> None:
                got.extend(await read(rig, live=live, since=0, until=until))
                group.cancel_scope.cancel()

            group.start_soon(ask)
            with anyio.fail_after(10):
                while not rig.opened.ingest.bells.readers:
                    await anyio.lowlevel.checkpoint()
                for number, line in enumerate(("early", "last"), 1):
                    rig.append("s", line + "\n")
                    while len(rig.messages()) < number:
                        rig.hand.forward(0.001)
                        await anyio.lowlevel.checkpoint()
                assert rig.hand.now() < until and not got
                rig.hand.forward(1000)
                while True:  # the answer ends by itself
                    rig.hand.forward(0.001)
                    await anyio.lowlevel.checkpoint()
        assert texts(got) == ["early", "last"]


async def test_an_id_that_is_not_ours_is_invalid(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        with pytest.raises(InvalidError):
            observe.logs(rig.kernel, LogQuery(APP, after_id="01JX"), live=True)


async def test_readers_that_left_leave_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path, clock=SystemClock()) as rig:
        await some_lines(rig)
        async with running(rig):
            await read(rig, live=True, since=0, count=2)
            with anyio.move_on_after(0.05):
                await read(rig, live=True)
        assert rig.opened.ingest.bells.readers == 0
        assert rig.opened.ingest.bells._events == {}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bursts=st.lists(st.integers(1, 900), min_size=2, max_size=5), cuts=st.lists(st.integers(1, 700), max_size=5))
async def test_a_reader_that_comes_back_has_each_line_once(
    tmp_path_factory: pytest.TempPathFactory, bursts: list[int], cuts: list[int]
) -> None:
    """Two writers append while a reader leaves after `cuts` lines each time and comes back with its last id."""
    total = 2 * sum(bursts)
    async with opened(tmp_path_factory.mktemp("o"), clock=SystemClock()) as rig:
        await rig.add("a", instance_id="a")
        await rig.add("b", instance_id="b")
        got: list[LogRecord] = []

        async def write(name: str) -> None:
            number = 0
            for burst in bursts:
                rig.append(name, "".join(f"{name} {number + each}\n" for each in range(burst)))
                number += burst
                await anyio.lowlevel.checkpoint()

        async with running(rig), anyio.create_task_group() as group:
            group.start_soon(write, "a")
            group.start_soon(write, "b")
            for cut in [*cuts, total]:
                left = min(cut, total - len(got))
                if left:
                    got += await read(rig, live=True, since=0, count=left, after_id=got[-1].id if got else None)
    assert len({each.seq for each in got}) == len(got) == total
    for name in "ab":
        mine = [each.message for each in got if each.instance_id == name]
        assert mine == [f"{name} {number}" for number in range(sum(bursts))]
