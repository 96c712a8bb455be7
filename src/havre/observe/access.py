"""Takes the edge's JSON access log into the signals store.

The edge rolls its file by renaming it: a file is known by its inode and the hash of its beginning, old ones are
finished first. Requests and positions are committed together, so that each request is there once.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import sqlalchemy as sa

from havre.kernel.clock import Clock
from havre.kernel.store import Store
from havre.observe import bells, decide, entries, raw
from havre.observe.bells import Bells
from havre.observe.model import AccessEntry, AccessLine, FileCursor, OfApp, ResolveHost
from havre.observe.pace import HURRIED, Pace
from havre.observe.signals import SignalStore

CURRENT = "access.log"
_NOTHING = (0, 0)  # no current file: look at the rolled ones each time
READ_BYTES = 4 * 1024 * 1024
BEHIND_BYTES = 8 * 1024 * 1024  # with more than that to read, nobody rests
LINES = 200  # about half a millisecond of taking them in
WATCHED_S, UNWATCHED_S = 0.1, 1.0  # between two looks; who asks for what is there has the next at once
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Read:
    """What one pass read: requests that have no app yet, where every file then stands, whether more is there at once,
    and how much."""

    entries: tuple[AccessEntry, ...]
    cursors: tuple[FileCursor, ...]
    has_more: bool
    behind_bytes: int


def read_files(
    folder: Path, cursors: Sequence[FileCursor], *, limit_bytes: int = READ_BYTES, pace: Pace = HURRIED
) -> Read:
    """Read on in every file, the oldest first, at most about `limit_bytes`. Only whole lines are taken."""
    known = {(each.inode, each.head): each.offset for each in cursors}
    found: list[AccessEntry] = []
    after: list[FileCursor] = []
    left, behind = limit_bytes, 0
    for path in _files(folder):
        try:
            with raw.opened(path) as fd:
                size, inode = os.fstat(fd).st_size, os.fstat(fd).st_ino
                if size < decide.HEAD_BYTES:
                    continue
                head = hashlib.sha256(os.pread(fd, decide.HEAD_BYTES, 0)).hexdigest()[:32]
                offset = known.get((inode, head), 0)
                while left > 0 and offset < size and (chunk := os.pread(fd, raw.CHUNK_BYTES, offset)):
                    end = chunk.rfind(b"\n") + 1
                    if end == 0:
                        if len(chunk) < raw.CHUNK_BYTES:
                            break  # an unfinished line
                        end = len(chunk)  # no request is that long
                    for piece in pace.pieces(chunk[:end].splitlines(), size=LINES):
                        found.extend(filter(None, map(entries.entry, piece)))
                    offset += end
                    left -= end
                after.append(FileCursor(inode, head, offset))
                behind += size - offset
        except FileNotFoundError:
            continue
    return Read(tuple(found), tuple(after), has_more=left <= 0, behind_bytes=behind)


def _files(folder: Path) -> list[Path]:
    """The access log's files: rolled ones by their names, which hold the time, then the current one."""
    try:
        names = [
            each.name for each in os.scandir(folder) if each.name.startswith("access") and each.name[-4:] == ".log"
        ]
    except FileNotFoundError:
        return []
    rolled = sorted(name for name in names if name != CURRENT)
    return [folder / name for name in (*rolled, *(name for name in names if name == CURRENT))]


@dataclass
class AccessIngest:
    """The loop over the access log. `pass_once` is one pass; `run` makes them for ever."""

    folder: Path
    store: Store
    signals: SignalStore
    bells: Bells
    clock: Clock
    resolve_host: ResolveHost
    writer: anyio.CapacityLimiter
    rest: Callable[[], None]  # between pieces of work, while nobody waits for it and not much is left
    lines: int = 0
    classes: Counter[str] = field(default_factory=Counter)  # of their statuses, such as `2xx`
    seconds: float = 0.0  # that all of them took
    backlog: bool = False
    behind_bytes: int = 0
    _cursors: Sequence[FileCursor] | None = None
    _seen: tuple[int, int] = _NOTHING
    _asked: list[anyio.Event] = field(default_factory=list)
    _wake: anyio.Event = field(default_factory=anyio.Event)

    async def run(self) -> None:
        self._cursors, self._seen = None, _NOTHING
        while True:
            self._wake = anyio.Event()
            self.backlog = await self.pass_once()
            if not self.backlog and not self._asked:
                pause_s = WATCHED_S if self.bells.readers else UNWATCHED_S
                await bells.wait(self._wake, clock=self.clock, seconds=pause_s)

    async def pass_once(self) -> bool:
        """Take what is there, up to a bound; whether there is more at once."""
        asked, self._asked = self._asked, []
        try:
            is_hurried = bool(asked) or self.behind_bytes > BEHIND_BYTES
            return await self._pass_once(HURRIED if is_hurried else Pace(self._rest))
        except BaseException:
            self._cursors = None
            raise
        finally:
            for event in asked:
                event.set()

    async def catch_up(self, *, limit_s: float) -> None:
        """Return when the requests that the edge had written by now are in the store, or after `limit_s`."""
        for _ in range(2):  # the first pass may have begun before we came
            event = anyio.Event()
            self._asked.append(event)
            self._wake.set()
            if not await bells.wait(event, clock=self.clock, seconds=limit_s / 2):
                return

    async def _pass_once(self, pace: Pace) -> bool:
        if self._cursors is None:
            self._cursors = await self._in_writer(self.signals.access_cursors)
        seen = _stamp(self.folder / CURRENT)
        if seen == self._seen and seen != _NOTHING and not self.backlog:
            return False
        read = await self._in_writer(partial(read_files, self.folder, self._cursors, pace=pace))
        if set(read.cursors) != set(self._cursors):
            given = await self._given(read.entries, pace)
            await self._in_writer(partial(self.signals.keep_access, given, cursors=read.cursors, pace=pace))
            self._cursors = read.cursors
            self._count(given)
            self.bells.ring({app_id for app_id, _ in given})
        self._seen, self.behind_bytes = seen, read.behind_bytes
        return read.has_more

    async def _given(self, found: Sequence[AccessEntry], pace: Pace) -> list[OfApp]:
        """The requests with their apps; those of no app, such as the platform's own, are left out."""
        asked: dict[tuple[str, str], AccessLine] = {}
        for each in found:
            if (each.host, each.route) not in asked and (line := entries.line(each.text)) is not None:
                asked[each.host, each.route] = line
        if not asked:
            return []

        def resolve(conn: sa.Connection) -> dict[tuple[str, str], str]:
            apps = {key: self.resolve_host(conn, line.host, line.path) for key, line in asked.items()}
            return {key: app_id for key, app_id in apps.items() if app_id is not None}

        apps = await self.store.read(resolve)

        def give() -> list[OfApp]:
            given: list[OfApp] = []
            for piece in pace.pieces(found, size=10 * LINES):
                given.extend((apps[key], each) for each in piece if (key := (each.host, each.route)) in apps)
            return given

        return await self._in_writer(give)

    def _rest(self) -> None:
        if not self._asked:
            self.rest()

    def _count(self, given: Sequence[OfApp]) -> None:
        self.lines += len(given)
        for status, count in Counter(each.status for _, each in given).items():
            self.classes[f"{status // 100}xx"] += count
        self.seconds += sum(each.duration_ms for _, each in given) / 1000

    async def _in_writer(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self.writer)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return _NOTHING
    return (status.st_ino, status.st_size)
