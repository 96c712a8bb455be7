"""Builds take turns."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from havre.apps.turns import Turns

pytestmark = pytest.mark.anyio


async def test_no_more_than_may_run_at_once_and_the_others_in_their_order() -> None:
    turns, told, began = Turns(2), list[str](), list[int]()
    may_end = [anyio.Event() for _ in range(4)]

    async def build(number: int) -> None:
        async with turns.one(is_running=False, tell=told.append):
            began.append(number)
            await may_end[number].wait()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(build, number)
                await anyio.wait_all_tasks_blocked()
            assert began == [0, 1]
            assert told == [
                "waiting for a turn: as many builds run as may at once (2)",
                "waiting for a turn: as many builds run as may at once (2), 1 before this one",
            ]
            may_end[1].set()
            await anyio.wait_all_tasks_blocked()
            assert began == [0, 1, 2]
            for each in may_end:
                each.set()
    assert began == [0, 1, 2, 3]


async def test_one_that_is_cancelled_while_it_waits_holds_nobody_up() -> None:
    turns, may_end = Turns(1), anyio.Event()

    async def build(end: anyio.Event) -> None:
        async with turns.one(is_running=False, tell=lambda _: None):
            await end.wait()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(build, may_end)
            await anyio.wait_all_tasks_blocked()
            with anyio.move_on_after(0.01):
                await build(anyio.Event())
            may_end.set()
            async with turns.one(is_running=False, tell=lambda _: None):
                pass


async def test_what_runs_already_is_not_made_to_wait() -> None:
    turns = Turns(1)
    with anyio.fail_after(20):
        async with (
            turns.one(is_running=False, tell=lambda _: None),
            turns.one(is_running=True, tell=partial(pytest.fail)),
        ):
            pass
