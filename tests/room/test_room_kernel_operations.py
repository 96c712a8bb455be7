from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest

from havre.base.errors import ConflictError, InvalidError
from havre.base.ids import OperationId
from havre.kernel.events import Bus
from havre.kernel.operations import SCHEMA, Operation, Operations, OperationView, Run, Step
from havre.kernel.operations.engine import _Execution
from havre.kernel.store import Store, Tx, events_schema
from tests.trials import FastClock, Trials, run_to_end

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Args:
    name: str


@dataclass(frozen=True)
class Made:
    names: tuple[str, ...]


@dataclass
class Ground:
    """The outside world of the trial: a set of things that exist."""

    things: set[str] = field(default_factory=set)
    block: anyio.Event | None = None
    log: list[str] = field(default_factory=list)


GROUND = Ground()


async def choose(run: Run[Args]) -> Made:
    return Made((f"{run.args.name}-{run.id}",))


async def build(run: Run[Args]) -> None:
    GROUND.things.add(run.result(CHOOSE).names[0])
    if GROUND.block is not None:
        await GROUND.block.wait()


async def delete_build(run: Run[Args]) -> None:
    GROUND.things.discard(run.result(CHOOSE).names[0])


async def switch(run: Run[Args]) -> int:
    GROUND.log.append("switch")
    GROUND.things.add("live")
    return 7


async def retire(run: Run[Args]) -> None:
    assert run.result(SWITCH) == 7
    GROUND.things.discard("old")


CHOOSE: Step[Args, Made] = Step("choose", choose)
BUILD: Step[Args, None] = Step("build", build, undo=delete_build)
SWITCH: Step[Args, int] = Step("switch", switch, final=True)
RETIRE: Step[Args, None] = Step("retire", retire)
ENDED: list[str] = []
TRIAL = Operation(
    "trial.thing",
    Args,
    (CHOOSE, BUILD, SWITCH, RETIRE),
    on_done=lambda tx, run: ENDED.append("done"),
    on_undone=lambda tx, run, error, cancelled: ENDED.append(f"undone {cancelled} {error}"),
)


@dataclass
class TrialWorld:
    store: Store
    bus: Bus
    clock: FastClock = field(default_factory=FastClock)

    def operations(self, around: object) -> Operations:
        made = Operations(store=self.store, bus=self.bus, clock=self.clock, node="n", around=around)  # type: ignore[arg-type]
        made.register([TRIAL])
        return made

    async def start(self, operations: Operations, key: str = "k") -> OperationId:
        return await self.store.write(lambda tx: operations.start(tx, TRIAL, Args("thing"), key=key))


@pytest.fixture
def make_world(store_url: str):  # type: ignore[no-untyped-def]
    @asynccontextmanager
    async def make() -> AsyncIterator[TrialWorld]:
        GROUND.things = {"old"}
        GROUND.block = None
        GROUND.log.clear()
        ENDED.clear()
        bus = Bus()
        store = Store.open(store_url, clock=FastClock(), bus=bus)
        await store.migrate([events_schema(), SCHEMA])
        yield TrialWorld(store, bus)
        store.close()

    return make


async def holds(world: TrialWorld, view: OperationView) -> None:
    if view.status == "done":
        assert "live" in GROUND.things and "old" not in GROUND.things
        assert len(GROUND.things) == 2
        assert ENDED == ["done"]
    else:
        assert GROUND.things == {"old"}
        assert len(ENDED) == 1 and ENDED[0].startswith("undone False the trial failed")


async def test_it_goes_from_step_to_step(make_world) -> None:  # type: ignore[no-untyped-def]
    view = await Trials(TRIAL, make_world, holds).plain()
    assert [step.status for step in view.steps] == ["done"] * 4


async def test_each_step_failed(make_world) -> None:  # type: ignore[no-untyped-def]
    await Trials(TRIAL, make_world, holds).fail_each()


async def test_killed_and_repeated_at_each_step(make_world) -> None:  # type: ignore[no-untyped-def]
    await Trials(TRIAL, make_world, holds).kill_each()


async def test_a_cancelled_operation_is_interrupted_and_undone(make_world) -> None:  # type: ignore[no-untyped-def]
    async with make_world() as world:
        GROUND.block = anyio.Event()
        operations = world.operations(None)
        id = await world.start(operations)
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(operations.run)
                while len(GROUND.things) < 2:
                    await anyio.sleep(0.01)
                await world.store.write(lambda tx: operations.cancel(tx, id))
                view = await operations.wait(id)
                group.cancel_scope.cancel()
        assert view.status == "undone" and view.cancelled
        assert GROUND.things == {"old"} and ENDED == ["undone True "]
        with pytest.raises(ConflictError):
            await world.store.write(lambda tx: operations.cancel(tx, id))


async def test_one_key_runs_in_order_and_other_keys_meanwhile(make_world) -> None:  # type: ignore[no-untyped-def]
    async with make_world() as world:
        GROUND.block = anyio.Event()
        operations = world.operations(None)
        first = await world.start(operations)
        second = await world.start(operations)
        other = await world.start(operations, key="other")
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(operations.run)
                while len(GROUND.things) < 3:
                    await anyio.sleep(0.01)
                views = [
                    await world.store.read(lambda conn, id=id: operations.view(conn, id))
                    for id in (first, second, other)
                ]
                assert [view.step for view in views] == ["build", "", "build"]
                GROUND.block.set()
                for id in (first, second, other):
                    assert (await operations.wait(id)).status == "done"
                group.cancel_scope.cancel()


async def test_whoever_cancels_right_before_the_switch_is_not_told_so_in_vain(make_world) -> None:  # type: ignore[no-untyped-def]
    async with make_world() as world:

        async def around(_kind: str, step: str, phase: str) -> None:
            if (step, phase) == ("build", "recorded"):
                await world.store.write(lambda tx: operations.cancel(tx, id))

        operations = world.operations(around)
        id = await world.start(operations)
        view = await run_to_end(operations, id)
        assert (view.status, view.cancelled, view.step) == ("undone", True, "build")
        assert GROUND.things == {"old"} and GROUND.log == [] and ENDED == ["undone True "]


async def test_whoever_cancels_right_after_the_switch_began_is_refused(make_world) -> None:  # type: ignore[no-untyped-def]
    async with make_world() as world:

        async def around(_kind: str, step: str, phase: str) -> None:
            if (step, phase) == ("switch", "begun"):
                with pytest.raises(ConflictError, match="too late"):
                    await world.store.write(lambda tx: operations.cancel(tx, id))

        operations = world.operations(around)
        id = await world.start(operations)
        assert (await run_to_end(operations, id)).status == "done"


async def test_whoever_cancels_in_the_moment_in_which_a_step_begins_interrupts_it(make_world, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """The step's beginning and the wish may be committed together, and whoever interrupts may be told first."""
    async with make_world() as world:
        GROUND.block = anyio.Event()
        operations = world.operations(None)
        id = await world.start(operations)
        begin, write, interrupt, asked = _Execution._begin, world.store.write, operations._interrupt, []

        def begin_and_cancel(self: _Execution, tx: Tx, run: Run[Args], seq: int, step: Step[Args, object]) -> bool:
            may_not = begin(self, tx, run, seq, step)
            if step.name == "build":
                operations.cancel(tx, id)
                asked.append(id)
            return may_not

        async def write_and_tell(work: Callable[[Tx], object]) -> object:
            found = await write(work)
            if asked:
                interrupt(asked.pop())
            return found

        monkeypatch.setattr(operations, "_interrupt", lambda _: None)
        monkeypatch.setattr(_Execution, "_begin", begin_and_cancel)
        monkeypatch.setattr(world.store, "write", write_and_tell)
        assert (await run_to_end(operations, id)).status == "undone"
        assert GROUND.things == {"old"}


async def test_a_replaced_runner_changes_nothing_more(make_world) -> None:  # type: ignore[no-untyped-def]
    async with make_world() as world:
        if world.store.dialect == "sqlite":
            return  # one data directory has one daemon: its lock is the fence
        GROUND.block = anyio.Event()
        slow = world.operations(None)
        slow._node, slow.LEASE_MS = "slow", 0
        slow._renew = anyio.sleep_forever  # a machine that stands still: who renews is not replaced
        id = await world.start(slow)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(slow.run)
                while len(GROUND.things) < 2:
                    await anyio.sleep(0.01)
                GROUND.block, blocked = None, GROUND.block
                view = await run_to_end(world.operations(None), id)
                blocked.set()
                while slow._running:
                    await anyio.sleep(0.01)
                group.cancel_scope.cancel()
        assert view.status == "done"
        assert GROUND.log == ["switch"] and ENDED == ["done"]


async def test_invalid_is_the_error_that_is_shown(make_world) -> None:  # type: ignore[no-untyped-def]
    async def around(_kind: str, step: str, phase: str) -> None:
        if (step, phase) == ("build", "begun"):
            raise InvalidError("package.json has no start script")

    async with make_world() as world:
        operations = world.operations(around)
        view = await run_to_end(operations, await world.start(operations))
        assert (view.status, view.error) == ("undone", "package.json has no start script")
