from __future__ import annotations

import anyio
import pytest

from havre.kernel.clock import SystemClock
from havre.kernel.events import Bus
from havre.kernel.reconcile import Loops, Pass, Reconciler, run_reconciler
from tests.trials import FastClock

pytestmark = pytest.mark.anyio


async def test_it_passes_at_once_and_again_when_woken() -> None:
    bus, passes = Bus(), anyio.create_memory_object_stream[int](10)
    send, receive = passes

    async def run() -> Pass:
        await send.send(1)
        return Pass()

    reconciler = Reconciler("trial", run, wake_on=("trial.",), every_s=1000)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: run_reconciler(reconciler, bus=bus, clock=SystemClock(), loops=Loops()))
            await receive.receive()
            bus.wake("other.thing")
            bus.wake("trial.thing")
            await receive.receive()
            group.cancel_scope.cancel()
    send.close()
    receive.close()


async def test_a_failure_is_tried_again_and_shown() -> None:
    loops, tries = Loops(), 0
    done = anyio.Event()

    async def run() -> Pass:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise OSError("the disk is gone")
        done.set()
        return Pass(changed=1)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            reconciler = Reconciler("trial", run)
            group.start_soon(lambda: run_reconciler(reconciler, bus=Bus(), clock=FastClock(), loops=loops))
            await done.wait()
            group.cancel_scope.cancel()
    assert loops.states["trial"].failures == 3
    assert "disk is gone" in loops.states["trial"].last_error or loops.states["trial"].changed == 1
