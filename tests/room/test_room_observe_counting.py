"""Requests counted while somebody looks: all of a while first, then each new one exactly once."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from havre import observe
from havre.kernel.clock import SystemClock
from havre.observe import entries
from havre.observe.model import AccessLine
from tests.room.observe_rig import APP, HandClock, Rig, opened

pytestmark = pytest.mark.anyio
HOUR_MS = 3_600_000
AT = 1_700_000_000_000 // HOUR_MS * HOUR_MS
LINE = AccessLine(
    app_id="", at=AT, host="shop.test", method="GET", path="/", scheme="https", protocol="HTTP/2.0", status=200, duration_ms=1, bytes_in=1,
    bytes_out=1, source_ip="192.0.2.1", source_port=1, request_id="r",
)  # fmt: skip


async def asked(rig: Rig, *statuses: int, app_id: str = APP, at: int = AT) -> None:
    """Requests that the app was asked, taken in as the room does it."""
    given = [(app_id, entries.kept(LINE._replace(status=status, at=at))) for status in statuses]
    rig.opened.signals.keep_access(given, cursors=[])
    rig.opened.access.bells.ring({app_id})


def counting(rig: Rig) -> observe.counting.Counting:  # type: ignore[name-defined]
    made = observe.counting(rig.kernel, APP, span_ms=HOUR_MS)

    async def caught_up() -> None: ...

    made._catch_up = caught_up  # the loop over the edge's log does not run here
    return made


async def test_each_request_is_counted_once_whenever_it_comes(tmp_path: Path) -> None:
    async with opened(tmp_path, clock=SystemClock()) as rig:
        await asked(rig, 200, 200, 404)
        await asked(rig, 200, app_id="app_2")
        found = counting(rig)
        try:
            assert await found.begin(AT) == {AT: {200: 2, 404: 1}}
            await asked(rig, 500)
            await asked(rig, 200, app_id="app_2")
            await asked(rig, 200, at=AT + HOUR_MS)
            assert await found.more(within_s=20) == {AT: {500: 1}, AT + HOUR_MS: {200: 1}}
            assert await found.more(within_s=0) == {}
        finally:
            found.end()


async def test_who_looks_is_told_as_soon_as_there_is_something(tmp_path: Path) -> None:
    async with opened(tmp_path, clock=HandClock()) as rig:
        found = counting(rig)
        told: list[object] = []

        async def look() -> None:
            told.append(await found.more(within_s=1000))

        try:
            assert await found.begin(AT) == {}
            with anyio.fail_after(20):
                async with anyio.create_task_group() as group:
                    group.start_soon(look)
                    await anyio.wait_all_tasks_blocked()
                    await asked(rig, 200)
            assert told == [{AT: {200: 1}}]
        finally:
            found.end()


async def test_nobody_looks_any_more(tmp_path: Path) -> None:
    async with opened(tmp_path, clock=SystemClock()) as rig:
        found = counting(rig)
        assert rig.opened.access.bells.readers == 1
        found.end()
        assert rig.opened.access.bells.readers == 0
