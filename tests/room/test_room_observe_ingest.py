"""From the files that apps write to the lines that are kept: each once, in its order, whatever happens in between."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from havre import observe
from havre.base.errors import UnavailableError
from tests.room.observe_rig import HandClock, opened

pytestmark = pytest.mark.anyio


async def test_lines_are_kept_with_what_they_belong_to(tmp_path: Path, store_url: str) -> None:
    async with opened(tmp_path, store_url) as rig:
        await rig.add("s", deployment_id="deployment_1", instance_id="i1", commit="c0ffee")
        await rig.tell("s", "one\ntwo\n")
        first, second = rig.kept()
        assert (first.message, second.message) == ("one", "two")
        assert (first.deployment_id, first.instance_id, first.commit) == ("deployment_1", "i1", "c0ffee")
        assert (first.service, first.severity) == ("bas-user.service", "info")
        assert first.id < second.id


async def test_an_unfinished_line_waits_for_a_second_of_quiet(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        await rig.add("s")
        await rig.tell("s", "one\npro")
        rig.hand.forward(0.9)
        await rig.tell("s", "mpt")
        rig.hand.forward(0.9)
        await rig.take()
        assert rig.messages() == ["one"]
        rig.hand.forward(0.2)
        await rig.take()
        assert rig.messages() == ["one", "prompt"]
        await rig.tell("s", "> answer\n")
        assert rig.messages() == ["one", "prompt", "> answer"]


async def test_a_source_that_ends_is_read_to_its_last_byte_and_then_drained(tmp_path: Path, store_url: str) -> None:
    async with opened(tmp_path, store_url) as rig:
        await rig.add("s")
        await rig.tell("s", "one\nno end")
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
        await rig.tell("s", "two\n")
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
        await rig.tell("late", "here\n")
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
        await rig.tell("s", "seen\n")
        seen_at = clock.now()
    rig.append("s", "".join(f"line {number}\n" for number in range(10)))
    os.utime(rig.path("s"), ns=(0, (seen_at + 100_000) * 1_000_000))
    clock.forward(3600)
    async with opened(tmp_path, clock=clock) as rig:
        await rig.take()
        at = [each.at for each in rig.kept()]
        assert at == sorted(at)
        assert (at[0], at[1], at[-1]) == (seen_at, seen_at + 10_000, seen_at + 100_000)
        await rig.tell("s", "now\n")
        assert rig.kept()[-1].at == clock.now()


async def test_time_does_not_go_back_with_the_clock(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        await rig.add("s")
        await rig.take()
        await rig.tell("s", "one\n")
        rig.hand.at -= 60_000
        await rig.tell("s", "two\n")
        one, two = rig.kept()
        assert two.at >= one.at


async def test_a_file_that_was_emptied_begins_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        await rig.add("s")
        await rig.tell("s", "one one one\n")
        os.truncate(rig.path("s"), 0)
        await rig.take()
        await rig.tell("s", "two two two two\n")
        assert rig.messages() == ["one one one", "two two two two"]


async def test_what_is_no_file_is_not_followed_and_stops_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        secret = tmp_path / "secret"
        secret.write_text("secret\n")
        for name in ("link", "pipe", "folder", "fine"):
            await rig.add(name)
        rig.path("link").symlink_to(secret)
        os.mkfifo(rig.path("pipe"))
        rig.path("folder").mkdir()
        await rig.tell("fine", "fine\n")
        assert rig.messages() == ["fine"]
        for name in ("link", "pipe", "folder"):
            await rig.end(name)
        await rig.take()
        assert [await observe.drained(rig.kernel, name) for name in ("link", "pipe", "folder")] == [True] * 3
