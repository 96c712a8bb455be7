"""Keeps the kernel's own tables bounded and shows its figures."""

from __future__ import annotations

from collections.abc import Iterable

import anyio.to_thread
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from havre.kernel.events import forget_events_before
from havre.kernel.kernel import Kernel
from havre.kernel.operations import tables
from havre.kernel.reconcile import Loops, Pass, Reconciler
from havre.kernel.rooms import Health, Room
from havre.kernel.store import Tx

DAY_MS = 86_400_000
EVENTS_KEPT_DAYS = 90
OPERATIONS_KEPT_DAYS = 30


def setup(kernel: Kernel) -> Room:
    """The kernel as a room: one reconciler for retention, the metrics of all loops."""
    kernel.metrics.register(_LoopFigures(kernel.loops))

    async def forget() -> Pass:
        now = kernel.aging.now()

        def work(tx: Tx) -> int:
            gone = forget_events_before(tx.conn, now - EVENTS_KEPT_DAYS * DAY_MS)
            return gone + tables.forget_ended(tx, before=now - OPERATIONS_KEPT_DAYS * DAY_MS)

        return Pass(changed=await kernel.store.write(work))

    async def health() -> Health:
        live = await kernel.store.read(tables.live)
        stuck = [each for each in live if each.status == "stuck"]
        error = f"operation {stuck[0].id} ({stuck[0].kind}) is stuck: {stuck[0].progress}" if stuck else ""
        return Health(error=error, backlog=len(live))

    async def keep_way_out() -> Pass:
        await anyio.to_thread.run_sync(kernel.units.keep_way_out)
        return Pass()

    reconcilers = (
        Reconciler("kernel.retention", forget, every_s=3600),
        Reconciler("kernel.way_out", keep_way_out, every_s=30),
    )
    return Room("kernel", reconcilers=reconcilers, health=health)


class _LoopFigures:
    """Passes, failures and seconds of each reconciler."""

    def __init__(self, loops: Loops) -> None:
        self._loops = loops

    def collect(self) -> Iterable[Metric]:
        passes = CounterMetricFamily("havre_reconciler_passes", "Passes made.", labels=["reconciler"])
        failures = CounterMetricFamily("havre_reconciler_failures", "Passes that failed.", labels=["reconciler"])
        seconds = CounterMetricFamily("havre_reconciler_seconds", "Seconds spent in passes.", labels=["reconciler"])
        last = GaugeMetricFamily("havre_reconciler_last_at_ms", "Moment of the last pass.", labels=["reconciler"])
        for name, state in self._loops.states.items():
            passes.add_metric([name], state.passes)
            failures.add_metric([name], state.failures)
            seconds.add_metric([name], state.seconds)
            last.add_metric([name], state.last_at)
        return (passes, failures, seconds, last)
