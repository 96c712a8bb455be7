"""More lines than the room can take at once: who waits, what is lost and said, and what is freed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from havre import observe
from havre.observe import tailing
from tests.room.observe_rig import HandClock, opened

pytestmark = pytest.mark.anyio


async def test_a_flood_delays_nobody_and_says_what_it_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailing, "LIVE_BACKLOG_BYTES", 100_000)
    async with opened(tmp_path) as rig:
        await rig.add("loud", app_id="app_loud")
        await rig.add("calm")
        await rig.take()
        total = 100_000
        rig.append("loud", b"".join(b"%07d\n" % number for number in range(total)))
        rig.append("calm", "hello\n")
        for tail in rig.opened.ingest.tails.values():
            tail.due_s = 0
        await rig.opened.ingest.pass_once()
        assert rig.messages() == ["hello"]
        for _ in range(20):
            rig.hand.forward(1)
            await rig.take()
        notice, *lines = rig.kept("app_loud")
        assert notice.severity == "warning"
        dropped = int(notice.message.split()[0])
        assert dropped + len(lines) == total
        assert [int(line.message) for line in lines] == list(range(dropped, total))


async def test_an_app_is_held_to_its_rate(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        await rig.add("s")
        await rig.take()
        await rig.tell("s", b"x\n" * 100_000)
        burst = int(tailing.LINES_PER_S * tailing.BURST_S)
        assert len(rig.messages()) == burst
        rig.hand.forward(1)
        await rig.take()
        assert len(rig.messages()) == burst + int(tailing.LINES_PER_S)


async def test_read_bytes_are_freed_under_the_writer_and_the_tail_stays(tmp_path: Path) -> None:
    clock = HandClock()
    async with opened(tmp_path, clock=clock) as rig:
        await rig.add("s")
        await rig.take()
        line = b"y" * 999 + b"\n"
        with open(rig.path("s"), "ab") as app:  # noqa: ASYNC230 - the app holds its file open
            for _ in range(4):
                app.write(line * 3000)
                app.flush()
                clock.forward(5)
                await rig.take()
            before = os.stat(rig.path("s"))
            app.write(b"after\n")
        await rig.take()
        assert before.st_size == 12_000_000
        if before.st_blocks * 512 == before.st_size:
            pytest.skip("this file system frees nothing in place")
        assert before.st_blocks * 512 < 8_000_000
        assert rig.messages()[-1] == "after"
        assert len(rig.messages()) == 12_001
        assert observe.tail(rig.path("s"), lines=2) == ["y" * 999, "after"]
        held = os.stat(rig.path("s")).st_blocks * 512
    (rig.kernel.paths.data / "logs.db").unlink()
    async with opened(tmp_path, clock=clock) as rig:
        await rig.take()
        again = rig.messages()
        assert again[-1] == "after" and set(again[1:-1]) == {"y" * 999} and len(again) <= held // 1000 + 2


async def test_health_and_figures_tell_how_far_behind_the_room_is(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        await rig.add("s")
        await rig.take()
        await rig.tell("s", b"x\n" * 200_000)
        rig.hand.forward(0.001)
        assert rig.room.health is not None
        assert (await rig.room.health()).backlog > 0
        rig.hand.forward(40)
        assert "behind" in (await rig.room.health()).error
        names = {metric.name for metric in rig.kernel.metrics.collect()}
        assert {"havre_observe_lines", "havre_observe_backlog_bytes"} <= names


async def test_a_file_that_was_read_to_its_end_is_not_behind_however_long_nothing_comes(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        await rig.add("i1")
        await rig.tell("i1", "one\n")
        await rig.tell("i1", "two\n")
        rig.hand.forward(600)
        await rig.take()
        assert rig.room.health is not None
        seen = await rig.room.health()
        assert (seen.error, (seen.figures or {})["lag_s"]) == ("", 0.0)
