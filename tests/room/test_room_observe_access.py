from __future__ import annotations

import json
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from havre import observe
from havre.kernel.clock import SystemClock
from havre.observe import AccessQuery, AccessRecord, access
from tests.room.observe_rig import APP, Rig, opened, running

pytestmark = pytest.mark.anyio


def entry(number: int, host: str = "a.test", **more: str) -> str:
    request = {
        "remote_ip": "127.0.0.1",
        "remote_port": "4711",
        "client_ip": "127.0.0.1",
        "proto": "HTTP/1.1",
        "method": "GET",
        "host": host,
        "uri": f"/{number}",
        "headers": {"User-Agent": ["curl"]},
    }
    line = {"level": "info", "ts": 1_700_000_000 + number, "logger": "http.log.access", "msg": "handled request"}
    return (
        json.dumps(line | more | {"request": request, "bytes_read": 0, "duration": 0.01, "size": 2, "status": 200})
        + "\n"
    )


def write(rig: Rig, content: str, name: str = "access.log") -> None:
    with open(rig.edge / name, "a") as file:
        file.write(content)


def roll(rig: Rig, number: int) -> None:
    (rig.edge / "access.log").rename(rig.edge / f"access-2026-06-01T10-00-{number:02}.000.log")


async def take(rig: Rig) -> None:
    while await rig.opened.access.pass_once():
        pass


async def ask(rig: Rig, *, live: bool = False, count: int | None = None, **asked: Any) -> list[AccessRecord]:
    found: list[AccessRecord] = []
    with anyio.fail_after(20):
        query = AccessQuery(asked.pop("app_id", APP), **asked)
        async with aclosing(observe.access_logs(rig.kernel, query, live=live)) as answer:
            async for record in answer:
                found.append(record)
                if len(found) == count:
                    break
    return found


def kept(rig: Rig, app_id: str = APP) -> list[str]:
    page = rig.opened.signals.accesses(AccessQuery(app_id), after=0, page=10_000)
    return [each.line.path for each in page.records]


async def test_a_request_goes_to_the_app_of_its_host(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        write(rig, entry(1) + entry(2, "b.test:8443") + entry(3, "localhost") + "not json\n" + entry(4))
        await take(rig)
        assert kept(rig) == ["/1", "/4"]
        assert kept(rig, "app_2") == ["/2"]


async def test_a_request_is_known_by_the_trace_that_its_app_was_told(tmp_path: Path) -> None:
    begun, told = "6b93ddfd-4db7-48ff-a4ee-c5d8c67a929d", f"00-{'ab' * 16}-6861767265656467-01"
    async with opened(tmp_path) as rig:
        write(rig, entry(1, uuid=begun) + entry(2, uuid=begun, traceparent=told) + entry(3, traceID="cd" * 16))
        await take(rig)
        page = rig.opened.signals.accesses(AccessQuery(APP), after=0, page=10)
        assert [each.line.request_id for each in page.records] == [begun.replace("-", ""), "ab" * 16, "cd" * 16]


async def test_a_part_of_a_host_may_belong_to_another_app(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        rig.hosts["a.test/2"] = "app_2"
        write(rig, entry(1) + entry(2, route="/a.test/2.sock") + entry(3))
        await take(rig)
        assert (kept(rig), kept(rig, "app_2")) == (["/1", "/3"], ["/2"])
        counted = {each.name: each.samples for each in rig.kernel.metrics.collect()}["havre_observe_requests"]
        assert [(each.labels, each.value) for each in counted] == [({"class": "2xx"}, 3.0)]


async def test_an_unfinished_request_waits_for_its_end(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        whole = entry(2)
        write(rig, entry(1) + whole[:150])
        await take(rig)
        assert kept(rig) == ["/1"]
        write(rig, whole[150:])
        await take(rig)
        assert kept(rig) == ["/1", "/2"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(["write", "write", "roll", "take", "restart", "remove"]), max_size=14))
async def test_each_request_is_kept_once_through_rolls_and_restarts(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    home = tmp_path_factory.mktemp("o")
    number = rolled = 0
    step = iter([*steps, "end"])
    now = "restart"
    while now == "restart":
        async with opened(home) as rig:
            while (now := next(step)) not in ("restart", "end"):
                if now == "write":
                    write(rig, entry(number) + entry(number + 1))
                    number += 2
                elif now == "roll" and (rig.edge / "access.log").exists():
                    roll(rig, rolled)
                    rolled += 1
                elif now == "take":
                    await take(rig)
                elif now == "remove":
                    await take(rig)
                    for old in rig.edge.glob("access-*.log"):
                        old.unlink()
            if now == "end":
                await take(rig)
                assert kept(rig) == [f"/{each}" for each in range(number)]


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
async def test_each_request_is_kept_once_when_the_process_dies(tmp_path: Path, after: bool) -> None:
    class Killed(BaseException):
        pass

    async with opened(tmp_path) as rig:
        write(rig, entry(0))
        await take(rig)
        write(rig, entry(1))
        signals = rig.opened.signals
        real = signals.keep_access

        def dies(*args: Any, **named: Any) -> None:
            if after:
                real(*args, **named)
            raise Killed

        signals.keep_access = dies
        with pytest.raises(Killed):
            await take(rig)
    async with opened(tmp_path) as rig:
        roll(rig, 1)
        write(rig, entry(2))
        await take(rig)
        assert kept(rig) == ["/0", "/1", "/2"]


async def test_requests_are_followed_and_read_back(tmp_path: Path) -> None:
    async with opened(tmp_path, clock=SystemClock()) as rig:
        write(rig, entry(0) + entry(1))
        async with running(rig):
            first = await ask(rig)
            assert [each.line.path for each in first] == ["/0", "/1"]
            assert [each.at for each in await ask(rig, since=1_700_000_001_000)] == [1_700_000_001_000]
            async with anyio.create_task_group() as group:
                got: list[str] = []

                async def follow() -> None:
                    found = await ask(rig, live=True, since=0, after_id=first[-1].id, count=2)
                    got.extend(each.line.path for each in found)

                group.start_soon(follow)
                write(rig, entry(2))
                roll(rig, 1)
                write(rig, entry(3))
            assert got == ["/2", "/3"]


async def test_requests_keep_to_a_quarter_of_the_quota(tmp_path: Path) -> None:
    from havre.kernel.config import LogsConfig

    async with opened(tmp_path, logs=LogsConfig(per_app_bytes=100_000)) as rig:
        for number in range(0, 500, 50):
            write(rig, "".join(entry(each) for each in range(number, number + 50)))
            await take(rig)
        paths = kept(rig)
        assert 50 < len(paths) < 110
        assert paths[-1] == "/499"


async def test_many_requests_are_taken_in_pieces_until_somebody_waits_for_them(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        rig.hosts["a.test"] = APP
        taking, rests = rig.opened.access, []
        taking.rest = lambda: rests.append(len(kept(rig)))
        write(rig, "".join(entry(number) for number in range(1000)))
        await take(rig)
        assert len(rests) > 8 and set(rests) == {0}, "all or none of them is there, whoever looks between two pieces"
        assert kept(rig) == [f"/{number}" for number in range(1000)]
        rests.clear()
        write(rig, entry(1000))
        await take(rig)
        assert rests == [], "nobody rests after the last piece"
        async with anyio.create_task_group() as group:
            group.start_soon(taking.run)
            await taking.catch_up(limit_s=20)  # from now on it looks when it is asked
            rests.clear()
            write(rig, "".join(entry(number) for number in range(1001, 2000)))
            await taking.catch_up(limit_s=20)
            group.cancel_scope.cancel()
        assert rests == [] and len(kept(rig)) == 2000


async def test_who_is_far_behind_takes_requests_without_a_rest(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        taking, rests = rig.opened.access, []
        taking.rest = lambda: rests.append(1)
        write(rig, "".join(entry(number) for number in range(6000)))
        read = access.read_files(rig.edge, (), limit_bytes=1)
        left = (rig.edge / "access.log").stat().st_size - read.cursors[0].offset
        assert read.has_more and read.behind_bytes == left > 0
        taking.behind_bytes = access.BEHIND_BYTES + 1  # as such a look has found
        await take(rig)
        assert rests == [] and len(kept(rig)) == 6000
        assert taking.behind_bytes == 0, "and the next pass rests again"
