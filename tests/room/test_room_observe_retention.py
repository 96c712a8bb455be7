"""How long lines are kept, and how many: what goes, and what must not."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio
import pytest

from havre import observe
from havre.kernel.config import LogsConfig
from havre.observe import tables
from tests.room.observe_rig import opened

pytestmark = pytest.mark.anyio


async def test_an_app_keeps_to_its_quota_and_the_file_does_not_grow(tmp_path: Path) -> None:
    quota = 400_000
    async with opened(tmp_path, logs=LogsConfig(per_app_bytes=quota)) as rig:
        await rig.add("loud", app_id="app_loud")
        await rig.add("calm")
        rig.append("calm", "stays\n")
        sizes = []
        for turn in range(30):
            rig.append("loud", b"".join(b"%07d %s\n" % (turn * 1000 + each, b"z" * 92) for each in range(1000)))
            rig.hand.forward(1)
            await rig.take()
            sizes.append(rig.opened.signals.figures().file_bytes)
        lines = rig.messages("app_loud")
        assert sum(len(line) + 80 for line in lines) <= quota
        assert int(lines[-1].split()[0]) == 29_999
        assert [int(line.split()[0]) for line in lines] == list(range(30_000 - len(lines), 30_000))
        assert max(sizes) < 4 * quota
        assert rig.messages() == ["stays"]


async def test_a_clock_that_jumps_ahead_deletes_no_line(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        await rig.add("s")
        await rig.tell("s", "here\n")
        retention = rig.room.reconcilers[0].run
        await retention()
        rig.hand.at += 300 * 86_400_000
        await retention()
        assert rig.messages() == ["here"]
        rig.hand.at -= 300 * 86_400_000
        await retention()
        assert rig.messages() == ["here"]


async def test_old_lines_go_and_their_space_with_them(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        await rig.add("s")
        for _ in range(10):
            rig.append("s", (b"o" * 2000 + b"\n") * 1000)
            rig.hand.forward(10)
            await rig.take()
        full = rig.opened.signals.figures().file_bytes
        rig.hand.forward(8 * 86_400)
        await rig.tell("s", "new\n")
        retention = rig.room.reconcilers[0].run
        async with anyio.create_task_group() as group:

            async def run() -> None:
                await retention()
                group.cancel_scope.cancel()

            group.start_soon(run)
            while True:
                rig.hand.forward(0.05)
                await anyio.lowlevel.checkpoint()
        assert rig.messages() == ["new"]
        assert rig.opened.signals.figures().file_bytes < full / 2


async def test_a_dropped_app_leaves_nothing_and_another_keeps_all(tmp_path: Path, store_url: str) -> None:
    async with opened(tmp_path, store_url) as rig:
        await rig.add("s")
        await rig.add("other", app_id="app_2")
        rig.append("s", "one\n" * 12_000)
        await rig.tell("other", "two\n")
        await rig.kernel.store.write(partial(observe.drop_app, app_id="app_1"))
        rig.append("s", "late\n")
    async with opened(tmp_path, store_url) as rig:
        await rig.take()
        assert rig.messages() == []
        assert rig.messages("app_2") == ["two"]
        assert await rig.kernel.store.read(tables.dropped_apps) == []
        assert await observe.drained(rig.kernel, "s")
        assert set(rig.opened.signals.cursors()) == {"other"}


async def test_a_source_is_forgotten_when_its_owner_has_removed_the_file(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        await rig.add("s")
        rig.append("s", "one\n")
        await rig.end("s")
        await rig.take()
        await rig.take()
        await rig.room.reconcilers[0].run()
        assert await rig.kernel.store.read(lambda conn: len(tables.sources(conn))) == 1
        rig.path("s").unlink()
        await rig.room.reconcilers[0].run()
        assert await rig.kernel.store.read(lambda conn: len(tables.sources(conn))) == 0
        assert rig.messages() == ["one"]
