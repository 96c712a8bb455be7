"""The three trials every operation goes through: fail, repeat and kill at each step.

`Trials` drives one operation on a fresh world each time; the caller says how to make a world, how to start the
operation in it and what must hold at the end. A killed runner writes nothing more: a new one is made on the same
store, as after `kill -9`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import anyio

from havre.base.errors import UnavailableError
from havre.base.ids import OperationId
from havre.kernel.clock import SystemClock
from havre.kernel.events import Bus
from havre.kernel.operations import Operation, Operations, OperationView
from havre.kernel.store import Store


class FastClock(SystemClock):
    """Real time, but nobody waits longer than 10 ms."""

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(min(seconds, 0.01))


class World(Protocol):
    """What a trial runs in."""

    store: Store
    bus: Bus

    def operations(self, around: Any) -> Operations:
        """A new runner on the same state, as a restarted process makes it."""
        ...

    async def start(self, operations: Operations) -> OperationId: ...


class _Killed(BaseException):
    """The process died here."""


@dataclass
class Trials:
    operation: Operation[Any]
    make_world: Callable[[], Any]  # -> async context manager of World
    holds: Callable[[Any, OperationView], Awaitable[None]]  # asserts; called after each trial
    only: tuple[str, ...] = ()  # the steps under trial; none named: all
    limit_s: float = 20  # for an operation from its start, or its second start, to its end

    def _tried(self, name: str) -> bool:
        return not self.only or name in self.only

    async def plain(self) -> OperationView:
        async with self._world() as world:
            operations = world.operations(None)
            id = await world.start(operations)
            view = await run_to_end(operations, id, limit_s=self.limit_s)
            assert view.status == "done", view
            await self.holds(world, view)
            return view

    async def fail_each(self) -> None:
        """Each step fails once, after it had its effect: undone before the point of no return, else done anyway."""
        for index, step in enumerate(self.operation.steps):
            if not self._tried(step.name):
                continue
            failed = False

            async def around(_kind: str, name: str, phase: str, wanted: str = step.name) -> None:
                nonlocal failed
                if name == wanted and phase == "ended" and not failed:
                    failed = True
                    raise UnavailableError(f"the trial failed step {wanted}")

            async with self._world() as world:
                operations = world.operations(around)
                id = await world.start(operations)
                view = await run_to_end(operations, id, limit_s=self.limit_s)
                expected = "done" if self.operation.is_final(index) else "undone"
                assert view.status == expected, (step.name, view)
                await self.holds(world, view)

    async def kill_each(self, phases: tuple[str, ...] = ("begun", "ended", "recorded")) -> None:
        """The process dies at each phase of each step; a new one finishes. `ended` repeats: done, not recorded."""
        for step in (each for each in self.operation.steps if self._tried(each.name)):
            for phase in phases:

                async def around(
                    _kind: str, name: str, now: str, wanted: str = step.name, wanted_phase: str = phase
                ) -> None:
                    if (name, now) == (wanted, wanted_phase):
                        raise _Killed

                async with self._world() as world:
                    first = world.operations(around)
                    id = await world.start(first)
                    died = False
                    try:
                        await run_to_end(first, id, limit_s=self.limit_s)
                    except BaseExceptionGroup as group:
                        died = group.subgroup(_Killed) is not None
                        if not died:
                            raise
                    assert died, f"{step.name}/{phase} was never reached"
                    view = await run_to_end(world.operations(None), id, limit_s=self.limit_s)
                    assert view.status == "done", (step.name, phase, view)
                    await self.holds(world, view)

    @asynccontextmanager
    async def _world(self) -> AsyncIterator[Any]:
        async with self.make_world() as world:
            yield world


async def run_to_end(operations: Operations, id: OperationId, *, limit_s: float = 20) -> OperationView:
    """Run `operations` until operation `id` has ended, under a limit.

    Nothing is renewed: nobody is there to take over, and a clock that hardly sleeps would write without a pause.
    """
    operations._renew = anyio.sleep_forever  # type: ignore[method-assign]
    with anyio.fail_after(limit_s):
        async with anyio.create_task_group() as group:
            group.start_soon(operations.run)
            view = await operations.wait(id)
            group.cancel_scope.cancel()
    return view
