"""A room of logs on a real kernel, with a clock that only moves when told."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import anyio
import sqlalchemy as sa

from havre import observe
from havre.kernel.clock import SystemClock
from havre.kernel.config import Config, LogsConfig, Paths
from havre.kernel.events import Bus
from havre.kernel.kernel import Kernel
from havre.kernel.operations import Operations
from havre.kernel.rooms import Room
from havre.kernel.store import Store, events_schema
from havre.observe import reading
from havre.observe.model import LogQuery, LogRecord, LogSource

APP = "app_1"


@dataclass
class HandClock(SystemClock):
    """Stands still until `forward`; whoever sleeps is woken when its moment has come."""

    at: int = 1_700_000_000_000
    seconds: float = 1000.0
    _moved: anyio.Event = field(default_factory=anyio.Event)

    def now(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def forward(self, seconds: float) -> None:
        self.at += int(seconds * 1000)
        self.seconds += seconds
        moved, self._moved = self._moved, anyio.Event()
        moved.set()

    async def sleep(self, seconds: float) -> None:
        due = self.seconds + seconds
        await anyio.lowlevel.checkpoint()
        while self.seconds < due:
            await self._moved.wait()


@dataclass
class Rig:
    kernel: Kernel
    room: Room
    clock: SystemClock
    hosts: dict[str, str]

    @property
    def opened(self) -> Any:
        return observe._room(self.kernel)

    @property
    def hand(self) -> HandClock:
        """The clock, where the room was opened with one that only moves when told."""
        assert isinstance(self.clock, HandClock)
        return self.clock

    @property
    def edge(self) -> Path:
        return self.kernel.paths.edge

    def path(self, name: str) -> Path:
        return self.kernel.paths.data / f"{name}.log"

    def append(self, name: str, content: str | bytes) -> None:
        with open(self.path(name), "ab") as file:
            file.write(content.encode() if isinstance(content, str) else content)

    async def tell(self, name: str, content: str | bytes) -> None:
        """The file of a source grows, and the room looks."""
        self.append(name, content)
        await self.take()

    async def add(self, name: str, *, app_id: str = APP, **more: Any) -> LogSource:
        source = LogSource(id=name, app_id=app_id, owner_id="orga_1", path=self.path(name), **more)
        await self.kernel.store.write(lambda tx: observe.add_source(tx, source))
        self.opened.ingest._stale = True
        return source

    async def end(self, name: str) -> None:
        await self.kernel.store.write(lambda tx: observe.end_source(tx, name))
        self.opened.ingest._stale = True

    async def take(self) -> None:
        """Pass until nothing more is there at once."""
        for tail in self.opened.ingest.tails.values():
            tail.due_s = 0
        while await self.opened.ingest.pass_once():
            pass

    def kept(self, app_id: str = APP, **asked: Any) -> list[LogRecord]:
        query = LogQuery(app_id=app_id, **asked)
        records: list[LogRecord] = []
        after, more = 0, True
        while more:
            page = self.opened.signals.logs(query, after=after, page=1000)
            records += page.records
            after, more = page.next, page.has_more
        return records

    def messages(self, app_id: str = APP, **asked: Any) -> list[str]:
        return [each.message for each in self.kept(app_id, **asked)]


def make_kernel(tmp_path: Path, url: str, clock: SystemClock, logs: LogsConfig) -> Kernel:
    bus = Bus()
    store = Store.open(url, clock=clock, bus=bus)
    return Kernel(
        config=Config(logs=logs),
        paths=Paths(data=tmp_path / "data", run=tmp_path / "run", toolchains=tmp_path),
        clock=clock,
        rng=random.Random(1),
        store=store,
        bus=bus,
        operations=Operations(store=store, bus=bus, clock=clock, node="n", around=None),
        units=cast(Any, None),
    )


@asynccontextmanager
async def opened(
    tmp_path: Path, url: str = "", *, clock: SystemClock | None = None, logs: LogsConfig | None = None
) -> AsyncIterator[Rig]:
    """The room, as a process that has just started has it; leave it without a word, as a killed one does."""
    hand = clock or HandClock()
    kernel = make_kernel(tmp_path, url or f"sqlite:///{tmp_path / 'state.db'}", hand, logs or LogsConfig())
    kernel.paths.create()
    hosts = {"a.test": APP, "b.test": "app_2"}

    def resolve(_: sa.Connection, host: str, path: str) -> str | None:
        return hosts.get(host + path.partition("?")[0], hosts.get(host))

    usual_s, reading.CATCH_UP_S = reading.CATCH_UP_S, 60.0  # an answer is whole, however busy the machine
    room = observe.setup(kernel, resolve)
    try:
        assert room.schema is not None
        await kernel.store.migrate([events_schema(), room.schema])
        yield Rig(kernel, room, hand, hosts)
    finally:
        reading.CATCH_UP_S = usual_s
        observe.close(kernel)
        kernel.store.close()


@asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[None]:
    """The room's loops, until the block ends."""
    async with anyio.create_task_group() as group:
        for loop in rig.room.loops:
            group.start_soon(loop.run)
        yield
        group.cancel_scope.cancel()
