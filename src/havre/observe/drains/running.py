"""Keeps every enabled drain running: one task each, which reads on from where its recipient has taken everything."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio
import anyio.to_thread
import structlog

from havre.base.errors import HavreError
from havre.drivers.outbound import Outbound
from havre.kernel.kernel import Kernel
from havre.kernel.store import Tx
from havre.observe import bells
from havre.observe.bells import Bells
from havre.observe.drains import SENDERS, tables
from havre.observe.drains.model import Drain, Execution
from havre.observe.model import LogQuery, LogRecord
from havre.observe.signals import SignalStore

log = structlog.get_logger()
BATCH = 500
FIRST_S, MOST_S = 1.0, 300.0
LOOK_AGAIN_S = 5.0


class Running:
    def __init__(self, kernel: Kernel, signals: SignalStore, shelf_bells: Bells) -> None:
        self._kernel = kernel
        self._signals = signals
        self._bells = shelf_bells
        self._readers = anyio.CapacityLimiter(2)
        self.outbound = Outbound(kernel.config.allows_loopback)

    async def run(self) -> None:
        """Until cancelled. A drain that was changed ends and begins again."""
        scopes: dict[tuple[str, int], anyio.CancelScope] = {}
        async with self._kernel.bus.subscribe("observe.drain.") as events, anyio.create_task_group() as group:
            while True:
                found = await self._kernel.store.read(tables.drains)
                wanted = {(each.id, each.changed_at): each for each in found if each.is_enabled}
                for key in scopes.keys() - wanted.keys():
                    scopes.pop(key).cancel()
                for key in wanted.keys() - scopes.keys():
                    scopes[key] = anyio.CancelScope()
                    group.start_soon(self._keep, wanted[key], scopes[key])
                with anyio.move_on_after(60):
                    await events.receive()

    async def _keep(self, drain: Drain, scope: anyio.CancelScope) -> None:
        with scope:
            self._bells.enter(drain.app_id)
            try:
                pause = FIRST_S
                while True:
                    try:
                        await self._follow(drain)
                    except HavreError as error:
                        await self._failed(drain, error.message, pause)
                        await self._kernel.clock.sleep(pause)
                        pause = min(MOST_S, pause * 2)
                    else:
                        pause = FIRST_S
            finally:
                self._bells.leave(drain.app_id)

    async def _follow(self, drain: Drain) -> None:
        """Send what there is, then wait for more, once. Raises what the sender raises."""
        bell = self._bells.of(drain.app_id)
        state = await self._kernel.store.read(lambda conn: tables.state(conn, drain.id))
        if state is None:
            raise anyio.get_cancelled_exc_class()()
        lines, after, more = await self.page(drain.app_id, state.seq, BATCH)
        if lines:
            await SENDERS[drain.recipient["type"]].send(self.outbound, drain.recipient, lines)
        if after != state.seq or state.execution is not Execution.RUNNING:
            await self._kernel.store.write(partial(_succeeded, drain.id, after))
        if not more:
            await bells.wait(bell, clock=self._kernel.clock, seconds=LOOK_AGAIN_S)

    async def page(self, app_id: str, after: int, size: int) -> tuple[tuple[LogRecord, ...], int, bool]:
        query = LogQuery(app_id=app_id)
        work: Callable[[], object] = partial(self._signals.logs, query, after=after, page=size)
        found = await anyio.to_thread.run_sync(work, limiter=self._readers)
        return found.records, found.next, found.has_more  # type: ignore[attr-defined]

    async def _failed(self, drain: Drain, error: str, pause: float) -> None:
        def write(tx: Tx) -> None:
            seen = tables.state(tx.conn, drain.id)
            if seen is not None:
                since = seen.failing_since or tx.now
                tries = {"tries": seen.tries + 1, "tried_at": tx.now, "next_at": tx.now + int(pause * 1000)}
                said = {"execution": Execution.RETRYING, "error": error[:400], "failing_since": since}
                tables.update_state(tx, drain.id, **tries, **said)

        await self._kernel.store.write(write)
        log.debug("observe.drain.failed", drain=drain.id, error=error)

    async def check(self, drain: Drain) -> None:
        """Send one line of our own. Raises what the sender raises."""
        line = LogRecord(
            seq=0,
            app_id=drain.app_id,
            source_id="",
            deployment_id=None,
            instance_id=None,
            commit=None,
            service="havre-drain.service",
            at=self._kernel.clock.now(),
            message="Havre checks that this drain arrives",
            severity="info",
        )
        await SENDERS[drain.recipient["type"]].send(self.outbound, drain.recipient, [line])

    async def backlog(self, seq: int, app_id: str) -> int:
        """How many lines wait, counted up to 1000."""
        lines, _, _ = await self.page(app_id, seq, 1000)
        return len(lines)


def _succeeded(id: str, seq: int, tx: Tx) -> None:
    well = {"execution": Execution.RUNNING, "tries": 0, "tried_at": tx.now, "next_at": None, "failing_since": None}
    tables.update_state(tx, id, seq=seq, **well)
