"""What apps are asked and what they use: measured, remembered, and answered by another scale where that is allowed.

Looking costs the apps nothing: requests stand in the pages of their units, processor and memory in the files of their
control groups. The samples are kept in memory; after a restart a scale is changed once a whole window was seen again.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
import sqlalchemy as sa
import structlog
from prometheus_client import Counter

from havre import edge
from havre.apps import scaling, tables
from havre.apps.checks import SLEEP
from havre.apps.intents import Intents
from havre.apps.model import App, Instance
from havre.apps.scaling import Change, Sample, Scale, Windows
from havre.apps.work import Work
from havre.base.errors import HavreError
from havre.base.ids import AppId, UnitId, UserId
from havre.governance import Actor
from havre.kernel.reconcile import Pass
from havre.kernel.store import Tx
from havre.kernel.units import Unit

log = structlog.get_logger()
CAUSE = "Monitoring/Scaling"
PLATFORM = Actor(UserId(""), "Havre", "")
REMEMBER_S = 60.0
HALF_LIFE_S = 1800.0  # of the average that says which apps are asked most
MOST_SAMPLES = 2000
WAKE_FIRST_S, WAKE_MOST_S = 2.0, 60.0


@dataclass
class _Seen:
    """One app's samples of its present scale, and what its units had counted at the last."""

    scale: Scale
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=MOST_SAMPLES))
    counted: dict[str, tuple[float, int]] = field(default_factory=dict)  # unit: processor ms, requests
    at_s: float = -math.inf
    requests_per_s: float = 0.0  # averaged


@dataclass(frozen=True)
class _Wanted:
    apps: dict[AppId, App]
    instances: dict[AppId, list[Instance]]
    busy: frozenset[str]
    sleepy: dict[str, str]
    loads: dict[str, float]


class Load:
    """The loops that measure, that scale, and that wake who sleeps."""

    def __init__(self, work: Work, intents: Intents) -> None:
        self._work = work
        self._kernel = work.kernel
        self._intents = intents
        self._seen: dict[AppId, _Seen] = {}
        self._remembered_s = -math.inf
        self._changes = Counter("havre_apps_scalings", "Changes of scale.", ["to"], registry=self._kernel.metrics)

    async def pass_once(self) -> Pass:
        """Measure every app that serves, and change the scale of those that call for it."""
        wanted = await self._kernel.store.read(self._read)
        units = {unit.id: unit for unit in await self._kernel.units.seen()}
        changed = 0
        for id, instances in wanted.instances.items():
            app = wanted.apps[id]
            live = [units[UnitId(each.id)] for each in instances if UnitId(each.id) in units]
            await self._measure(app, instances, [each for each in live if each.state == "running"], wanted)
            if id in wanted.busy:  # who is being drained still answers part of what comes: no sample tells the whole
                self._seen[id].samples.clear()
            elif (change := self._decide(app, wanted)) is not None:
                changed += await self._change(app, change)
        for id in self._seen.keys() - wanted.instances.keys():
            del self._seen[id]
        await self._remember()
        return Pass(wanted=len(wanted.instances), changed=changed)

    def _read(self, conn: sa.Connection) -> _Wanted:
        apps = {each.id: each for each in tables.apps(conn) if each.serving is not None and not each.deleted}
        instances: dict[AppId, list[Instance]] = {}
        for each in tables.instances(conn):
            app = apps.get(each.app_id)
            if app is not None and each.generation == app.generation and each.state == "UP":
                instances.setdefault(app.id, []).append(each)
        busy = frozenset(each.key for each in self._kernel.operations.live(conn))
        loads = tables.loads(conn) if not self._seen else {}
        return _Wanted(apps, instances, busy, tables.env_named(conn, SLEEP), loads)

    # measuring

    async def _measure(self, app: App, instances: Sequence[Instance], units: Sequence[Unit], wanted: _Wanted) -> None:
        scale = Scale(len(instances), instances[0].flavor)
        seen = self._seen.get(app.id)
        if seen is None or seen.scale != scale:
            average = seen.requests_per_s if seen is not None else wanted.loads.get(app.id, 0.0)
            seen = self._seen[app.id] = _Seen(scale, requests_per_s=average)
        now_s = self._kernel.clock.monotonic()
        since_s, seen.at_s = now_s - seen.at_s, now_s
        counts = scaling.bounds_of(app).is_fixed is False
        counted: dict[str, tuple[float, int]] = {}
        memory: list[int] = []
        is_counted = counts and bool(units)
        for unit in units:
            cpu_ms = 0.0
            if counts:
                usage = await self._kernel.units.usage(unit.id)
                cpu_ms, is_counted = usage.cpu_ms or 0.0, is_counted and usage.cpu_ms is not None
                memory += [usage.memory_bytes] if usage.memory_bytes is not None else []
            counted[unit.id] = cpu_ms, unit.accepted
        before, seen.counted = seen.counted, counted
        if not before or since_s <= 0 or math.isinf(since_s):
            return
        known = [(counted[id], before[id]) for id in counted if id in before]
        requests = sum(now[1] - then[1] for now, then in known) / since_s
        cpu = sum(now[0] - then[0] for now, then in known) / 1000 / since_s if is_counted else None
        seen.requests_per_s += (requests - seen.requests_per_s) * (1 - 0.5 ** (since_s / HALF_LIFE_S))
        seen.samples.append(
            Sample(
                at=int(now_s * 1000),
                instances=scale.instances,
                cpu=cpu,
                memory_bytes=max(memory, default=None),
                in_flight=sum(unit.in_flight for unit in units),
                connections=sum(unit.connections for unit in units),
                waiting=self._kernel.units.waiting(edge.app_socket(self._kernel.paths, app.id)),
                requests_per_s=requests,
            )
        )

    async def _remember(self) -> None:
        """Which apps are asked most is what decides who starts first after a reboot."""
        now_s = self._kernel.clock.monotonic()
        if now_s - self._remembered_s < REMEMBER_S:
            return
        self._remembered_s = now_s
        loads = {id: each.requests_per_s for id, each in self._seen.items()}

        def write(tx: Tx) -> None:
            known = tables.loads(tx.conn)
            for id, value in loads.items():
                if tables.app(tx.conn, id) is not None and abs(known.get(id, -1.0) - value) > 0.01 * value:
                    tables.put_load(tx, id, value)

        await self._kernel.store.write(write)

    # scaling

    def _decide(self, app: App, wanted: _Wanted) -> Change | None:
        seen, config = self._seen[app.id], self._kernel.config.apps
        now = int(self._kernel.clock.monotonic() * 1000)  # as the samples: the wall clock may jump
        samples = list(seen.samples)
        if idle := wanted.sleepy.get(app.id):
            change = scaling.decide_sleep(samples, now=now, idle_ms=int(idle) * 1000)
            if change is not None:
                return change
        windows = Windows(int(config.scale_up_after_s * 1000), int(config.scale_down_after_s * 1000))
        return scaling.decide_scale(scaling.bounds_of(app), seen.scale, samples, now=now, windows=windows)

    async def _change(self, app: App, change: Change) -> int:
        """Ask for the change, if nothing else has begun meanwhile."""

        def write(tx: Tx) -> bool:
            current = tables.app(tx.conn, app.id)
            busy = any(each.key == app.id for each in self._kernel.operations.live(tx.conn))
            if busy or current is None or current.deleted or current.serving != app.serving:
                return False
            cause = f"{CAUSE}: {_in_words(change)}"
            return self._intents.scale(tx, PLATFORM, current, change, cause=cause) is not None

        if not await self._kernel.store.write(write):
            return 0
        self._changes.labels("sleep" if not change.to.instances else "scale").inc()
        log.info("apps.app.scaling", app=app.id, to=str(change.to), why=change.why)
        return 1

    # waking

    async def hold_sleepers(self) -> None:
        """At the start: the sockets of apps that sleep are held, and the edge knows it, before anybody visits."""
        for id in await self._kernel.store.read(tables.asleep):
            await self._kernel.units.hold(edge.app_socket(self._kernel.paths, AppId(id)))
            await edge.reconcile_now(self._kernel, id)

    async def wake(self) -> None:
        """Hold the sockets of apps that sleep; whoever calls at one wakes its app. Runs for ever."""
        watched: set[str] = set()
        async with self._kernel.bus.subscribe("apps.app.", "kernel.operation.done") as events:
            async with anyio.create_task_group() as group:
                while True:
                    for id in await self._kernel.store.read(tables.asleep) - watched:
                        watched.add(id)
                        group.start_soon(self._wait_called, AppId(id), watched)
                    with anyio.move_on_after(REMEMBER_S):
                        await events.receive()

    async def _wait_called(self, id: AppId, watched: set[str]) -> None:
        pause = WAKE_FIRST_S
        try:
            while id in await self._kernel.store.read(tables.asleep):
                await self._kernel.units.wait_called(edge.app_socket(self._kernel.paths, id))
                await self._kernel.store.write(lambda tx: self._wake_one(tx, id))
                await self._until_idle(id)
                if id in await self._kernel.store.read(tables.asleep):  # it could not be started
                    await self._kernel.clock.sleep(pause)
                    pause = min(WAKE_MOST_S, pause * 2)
        except HavreError as error:
            log.warning("apps.app.wake_failed", app=id, error=error.message)
            await self._kernel.clock.sleep(pause)
        finally:
            watched.discard(id)

    def _wake_one(self, tx: Tx, id: AppId) -> None:
        app = tables.app(tx.conn, id)
        busy = any(each.key == id for each in self._kernel.operations.live(tx.conn))
        if app is None or app.deleted or app.serving is None:
            tables.set_asleep(tx, id, asleep=False)
        elif not busy and id in tables.asleep(tx.conn):
            to = scaling.bounds_of(app).nearest(Scale(1, app.min_flavor))
            change = Change(to, "a request came")
            self._intents.scale(tx, PLATFORM, app, change, cause=f"{CAUSE}: {_in_words(change)}")

    async def _until_idle(self, id: AppId) -> None:
        """Return when no operation of the app is under way."""
        async with self._kernel.bus.subscribe("kernel.operation.") as events:
            while any(each.key == id for each in await self._kernel.store.read(self._kernel.operations.live)):
                with anyio.move_on_after(1):
                    await events.receive()


def _in_words(change: Change) -> str:
    if not change.to.instances:
        return f"asleep because {change.why}"
    return f"{change.to} because {change.why}"
