"""The queue of starts after a reboot: so many at once, the most used apps first, and one that never answers holds one place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from anyio.abc import TaskGroup

from havre.apps.decide import Replace
from havre.apps.starts import Starts
from havre.kernel.config import Config
from tests.decide.test_decide_instances import an_instance
from tests.trials import FastClock

pytestmark = pytest.mark.anyio
AT_ONCE = 3


class Slow(Starts):
    """What is started stays under way until the test says that it answers."""

    def __init__(self) -> None:
        config = Config()
        config = replace(config, apps=replace(config.apps, starts_at_once=AT_ONCE))
        super().__init__(
            cast(Any, SimpleNamespace(kernel=SimpleNamespace(config=config, clock=FastClock()))), cast(Any, None)
        )
        self.begun: list[str] = []
        self.answers: dict[str, anyio.Event] = {}

    async def _replace(self, step: Replace, group: TaskGroup) -> None:
        self.begun.append(step.instance.id)
        self.answers[step.instance.id] = anyio.Event()
        await self.answers[step.instance.id].wait()


@asynccontextmanager
async def at_work() -> AsyncIterator[Slow]:
    starts = Slow()
    async with anyio.create_task_group() as group:
        group.start_soon(starts.run)
        await anyio.wait_all_tasks_blocked()
        yield starts
        group.cancel_scope.cancel()


def steps(*ids: str) -> Sequence[Replace]:
    return [Replace(an_instance(id, app=f"app-{id}"), False) for id in ids]


def loads(found: Mapping[str, float]) -> Mapping[str, float]:
    return {f"app-{id}": load for id, load in found.items()}


async def test_after_a_reboot_so_many_start_at_once_and_the_most_used_first() -> None:
    async with at_work() as starts:
        starts.ask(steps("a", "b", "c", "d", "e", "f"), loads({"b": 1, "d": 30, "e": 2, "f": 20}))
        await anyio.wait_all_tasks_blocked()
        assert starts.begun == ["d", "f", "e"]
        starts.answers["f"].set()
        await anyio.wait_all_tasks_blocked()
        assert starts.begun == ["d", "f", "e", "b"], "one that answers makes room for one"
        for id in ("d", "e", "b"):
            starts.answers[id].set()
        await anyio.wait_all_tasks_blocked()
        assert sorted(starts.begun[4:]) == ["a", "c"]


async def test_those_that_had_nothing_to_do_are_all_there_for_the_next_reboot() -> None:
    async with at_work() as starts:
        for round in ("1", "2", "3"):
            ids = [f"{name}{round}" for name in ("a", "b", "c", "d")]
            starts.ask(steps(*ids), {})
            await anyio.wait_all_tasks_blocked()
            assert len(starts.begun) == AT_ONCE
            for _ in ids:
                for event in starts.answers.values():
                    event.set()
                await anyio.wait_all_tasks_blocked()
            assert sorted(starts.begun) == ids
            starts.begun.clear()


async def test_what_is_being_started_is_not_started_again_when_it_is_asked_again() -> None:
    async with at_work() as starts:
        for _ in range(2):
            starts.ask(steps("a", "b"), {})
            await anyio.wait_all_tasks_blocked()
        assert sorted(starts.begun) == ["a", "b"]
