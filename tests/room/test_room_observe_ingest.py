from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from havre import observe
from havre.base.errors import UnavailableError
from havre.kernel.config import LogsConfig
from havre.observe import tables, tailing
from tests.room.test_room_observe_rig import HandClock, opened

pytestmark = pytest.mark.anyio


async def test_lines_are_kept_with_what_they_belong_to(tmp_path: Path, store_url: str) -> None:
    async with opened(tmp_path, store_url) as rig:
        await rig.add("s", deployment_id="deployment_1", instance_id="i1", commit="c0ffee")
        rig.append("s", "one\ntwo\n")
        await rig.take()
        first, second = rig.kept()
        assert (first.message, second.message) == ("one", "two")
        assert (first.deployment_id, first.instance_id, first.commit) == ("deployment_1", "i1", "c0ffee")
        assert (first.service, first.severity) == ("bas-user.service", "info")
        assert first.id < second.id


async def test_an_unfinished_line_waits_for_a_second_of_quiet(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        clock = rig.clock
        assert isinstance(clock, HandClock)
        await rig.add("s")
        rig.append("s", "one\npro")
        await rig.take()
        clock.forward(0.9)
        rig.append("s", "mpt")
        await rig.take()
        clock.forward(0.9)
        await rig.take()
        assert rig.messages() == ["one"]
        clock.forward(0.2)
        await rig.take()
        assert rig.messages() == ["one", "prompt"]
        rig.append("s", "> answer\n")
        await rig.take()
        assert rig.messages() == ["one", "prompt", "> answer"]


async def test_a_source_that_ends_is_read_to_its_last_byte_and_then_drained(tmp_path: Path, store_url: str) -> None:
    async with opened(tmp_path, store_url) as rig:
        await rig.add("s")
        rig.append("s", "one\nno end")
        await rig.take()
        assert not await observe.drained(rig.kernel, "s")
        await rig.end("s")
        assert not await observe.drained(rig.kernel, "s")
        await rig.take()
        assert rig.messages() == ["one", "no end"]
        await rig.take()
        assert await observe.drained(rig.kernel, "s")
    async with opened(tmp_path, store_url) as rig:
        await rig.take()
        assert await observe.drained(rig.kernel, "s")
        assert rig.messages() == ["one", "no end"]


async def test_a_source_that_is_opened_again_goes_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        await rig.add("s")
        rig.append("s", "one\n")
        await rig.end("s")
        await rig.take()
        await rig.take()
        await rig.add("s")
        rig.append("s", "two\n")
        await rig.take()
        assert rig.messages() == ["one", "two"]
        assert not await observe.drained(rig.kernel, "s")


async def test_a_source_without_a_file_waits_for_it_or_is_drained(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        await rig.add("late")
        await rig.add("never")
        await rig.end("never")
        await rig.take()
        assert await observe.drained(rig.kernel, "never")
        assert await observe.drained(rig.kernel, "unknown")
        rig.append("late", "here\n")
        await rig.take()
        assert rig.messages() == ["here"]


class Killed(BaseException):
    """The process died here."""


def dies(real: Any, *, after: bool) -> Any:
    def keep(*args: Any, **named: Any) -> None:
        if after:
            real(*args, **named)
        raise Killed

    return keep


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize("at_pass", range(4))
async def test_each_line_is_kept_once_wherever_the_process_dies(tmp_path: Path, at_pass: int, after: bool) -> None:
    written = 0
    for life in range(3):
        async with opened(tmp_path) as rig:
            await rig.add("s")
            for number in range(6):
                rig.append("s", f"{written}\n{written + 1}\n")
                written += 2
                if life < 2 and number == at_pass:
                    rig.opened.signals.keep = dies(rig.opened.signals.keep, after=after)
                    with pytest.raises(Killed):
                        await rig.take()
                    break
                await rig.take()
            if life == 2:
                assert rig.messages() == [str(each) for each in range(written)]


async def test_a_store_that_refuses_loses_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        await rig.add("s")
        rig.append("s", "one\n")
        signals = rig.opened.signals
        real = signals.keep

        def refuse(_: Any) -> None:
            raise UnavailableError("full")

        signals.keep = refuse
        with pytest.raises(UnavailableError):
            await rig.take()
        assert rig.room.health is not None
        assert (await rig.room.health()).error == "full"
        signals.keep = real
        await rig.take()
        assert rig.messages() == ["one"]
        assert (await rig.room.health()).error == ""


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from("abc"), st.lists(st.text("xyz é\n", max_size=9), max_size=3), st.booleans()),
        max_size=9,
    )
)
async def test_any_order_of_writes_and_passes_keeps_every_file_in_its_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, list[str], bool]]
) -> None:
    async with opened(tmp_path_factory.mktemp("o")) as rig:
        for name in "abc":
            await rig.add(name, instance_id=name)
        wanted: dict[str, str] = {name: "" for name in "abc"}
        for name, texts, look in steps:
            wanted[name] += "".join(texts)
            rig.append(name, "".join(texts))
            if look:
                await rig.take()
        for name in "abc":
            await rig.end(name)
        await rig.take()
        await rig.take()
        for name in "abc":
            expected = wanted[name].removesuffix("\n").split("\n") if wanted[name] else []
            assert rig.messages(instance_ids=(name,)) == expected
        at = [each.at for each in rig.kept()]
        assert at == sorted(at)


async def test_lines_of_a_gap_are_spread_over_it(tmp_path: Path) -> None:
    clock = HandClock()
    async with opened(tmp_path, clock=clock) as rig:
        await rig.add("s")
        await rig.take()
        rig.append("s", "seen\n")
        await rig.take()
        seen_at = clock.now()
    rig.append("s", "".join(f"line {number}\n" for number in range(10)))
    os.utime(rig.path("s"), ns=(0, (seen_at + 100_000) * 1_000_000))
    clock.forward(3600)
    async with opened(tmp_path, clock=clock) as rig:
        await rig.take()
        at = [each.at for each in rig.kept()]
        assert at == sorted(at)
        assert (at[0], at[1], at[-1]) == (seen_at, seen_at + 10_000, seen_at + 100_000)
        rig.append("s", "now\n")
        await rig.take()
        assert rig.kept()[-1].at == clock.now()


async def test_time_does_not_go_back_with_the_clock(tmp_path: Path) -> None:
    clock = HandClock()
    async with opened(tmp_path, clock=clock) as rig:
        await rig.add("s")
        await rig.take()
        rig.append("s", "one\n")
        await rig.take()
        clock.at -= 60_000
        rig.append("s", "two\n")
        await rig.take()
        one, two = rig.kept()
        assert two.at >= one.at


async def test_a_flood_delays_nobody_and_says_what_it_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailing, "LIVE_BACKLOG_BYTES", 100_000)
    clock = HandClock()
    async with opened(tmp_path, clock=clock) as rig:
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
            clock.forward(1)
            await rig.take()
        notice, *lines = rig.kept("app_loud")
        assert notice.severity == "warning"
        dropped = int(notice.message.split()[0])
        assert dropped + len(lines) == total
        assert [int(line.message) for line in lines] == list(range(dropped, total))


async def test_an_app_is_held_to_its_rate(tmp_path: Path) -> None:
    clock = HandClock()
    async with opened(tmp_path, clock=clock) as rig:
        await rig.add("s")
        await rig.take()
        rig.append("s", b"x\n" * 100_000)
        await rig.take()
        burst = int(tailing.LINES_PER_S * tailing.BURST_S)
        assert len(rig.messages()) == burst
        clock.forward(1)
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


async def test_a_file_that_was_emptied_begins_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        await rig.add("s")
        rig.append("s", "one one one\n")
        await rig.take()
        os.truncate(rig.path("s"), 0)
        await rig.take()
        rig.append("s", "two two two two\n")
        await rig.take()
        assert rig.messages() == ["one one one", "two two two two"]


async def test_an_app_keeps_to_its_quota_and_the_file_does_not_grow(tmp_path: Path) -> None:
    quota = 400_000
    clock = HandClock()
    async with opened(tmp_path, clock=clock, logs=LogsConfig(per_app_bytes=quota)) as rig:
        await rig.add("loud", app_id="app_loud")
        await rig.add("calm")
        rig.append("calm", "stays\n")
        sizes = []
        for turn in range(30):
            rig.append("loud", b"".join(b"%07d %s\n" % (turn * 1000 + each, b"z" * 92) for each in range(1000)))
            clock.forward(1)
            await rig.take()
            sizes.append(rig.opened.signals.figures().file_bytes)
        lines = rig.messages("app_loud")
        assert sum(len(line) + 80 for line in lines) <= quota
        assert int(lines[-1].split()[0]) == 29_999
        assert [int(line.split()[0]) for line in lines] == list(range(30_000 - len(lines), 30_000))
        assert max(sizes) < 4 * quota
        assert rig.messages() == ["stays"]


async def test_a_clock_that_jumps_ahead_deletes_no_line(tmp_path: Path) -> None:
    clock = HandClock()
    async with opened(tmp_path, clock=clock) as rig:
        await rig.add("s")
        rig.append("s", "here\n")
        await rig.take()
        retention = rig.room.reconcilers[0].run
        await retention()
        clock.at += 300 * 86_400_000
        await retention()
        assert rig.messages() == ["here"]
        clock.at -= 300 * 86_400_000
        await retention()
        assert rig.messages() == ["here"]


async def test_old_lines_go_and_their_space_with_them(tmp_path: Path) -> None:
    clock = HandClock()
    async with opened(tmp_path, clock=clock) as rig:
        await rig.add("s")
        for _ in range(10):
            rig.append("s", (b"o" * 2000 + b"\n") * 1000)
            clock.forward(10)
            await rig.take()
        full = rig.opened.signals.figures().file_bytes
        clock.forward(8 * 86_400)
        rig.append("s", "new\n")
        await rig.take()
        retention = rig.room.reconcilers[0].run
        async with anyio.create_task_group() as group:

            async def run() -> None:
                await retention()
                group.cancel_scope.cancel()

            group.start_soon(run)
            while True:
                clock.forward(0.05)
                await anyio.lowlevel.checkpoint()
        assert rig.messages() == ["new"]
        assert rig.opened.signals.figures().file_bytes < full / 2


async def test_a_dropped_app_leaves_nothing_and_another_keeps_all(tmp_path: Path, store_url: str) -> None:
    async with opened(tmp_path, store_url) as rig:
        await rig.add("s")
        await rig.add("other", app_id="app_2")
        rig.append("s", "one\n" * 12_000)
        rig.append("other", "two\n")
        await rig.take()
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


async def test_health_and_figures_tell_how_far_behind_the_room_is(tmp_path: Path) -> None:
    clock = HandClock()
    async with opened(tmp_path, clock=clock) as rig:
        await rig.add("s")
        await rig.take()
        rig.append("s", b"x\n" * 200_000)
        await rig.take()
        clock.forward(0.001)
        assert rig.room.health is not None
        assert (await rig.room.health()).backlog > 0
        clock.forward(40)
        assert "behind" in (await rig.room.health()).error
        names = {metric.name for metric in rig.kernel.metrics.collect()}
        assert {"havre_observe_lines", "havre_observe_backlog_bytes"} <= names


async def test_what_is_no_file_is_not_followed_and_stops_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        secret = tmp_path / "secret"
        secret.write_text("secret\n")
        for name in ("link", "pipe", "folder", "fine"):
            await rig.add(name)
        rig.path("link").symlink_to(secret)
        os.mkfifo(rig.path("pipe"))
        rig.path("folder").mkdir()
        rig.append("fine", "fine\n")
        await rig.take()
        assert rig.messages() == ["fine"]
        for name in ("link", "pipe", "folder"):
            await rig.end(name)
        await rig.take()
        assert [await observe.drained(rig.kernel, name) for name in ("link", "pipe", "folder")] == [True] * 3


async def test_a_file_that_was_read_to_its_end_is_not_behind_however_long_nothing_comes(tmp_path: Path) -> None:
    clock = HandClock()
    async with opened(tmp_path, clock=clock) as rig:
        await rig.add("i1")
        rig.append("i1", "one\n")
        await rig.take()
        rig.append("i1", "two\n")
        await rig.take()
        clock.forward(600)
        await rig.take()
        assert rig.room.health is not None
        seen = await rig.room.health()
        assert (seen.error, (seen.figures or {})["lag_s"]) == ("", 0.0)
