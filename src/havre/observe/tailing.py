"""One open source in memory, and what a pass takes from it.

`take` changes nothing that matters: the cursor moves in memory only when the store has kept it (`kept`), so a
pass that fails is made again from the same byte.
"""

from __future__ import annotations

import errno
import math
import os
from dataclasses import dataclass, replace

import structlog

from havre.observe import decide, raw
from havre.observe.model import Cursor, Line, LogSource, Taken
from havre.observe.tables import SourceRow

log = structlog.get_logger()
_LOST = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL)  # there is no such file, and trying again is vain
PARTIAL_S = 1.0  # an unfinished line is taken when its file is quiet for so long
LIVE_BACKLOG_BYTES = 16 * 1024 * 1024
LINES_PER_TAKE = 5000
LINES_PER_S, BYTES_PER_S, BURST_S = 10_000.0, 4.0 * 1024 * 1024, 4.0


def new_allowance() -> decide.Allowance:
    return decide.Allowance(LINES_PER_S, BYTES_PER_S, BURST_S)


@dataclass
class Tail:
    """A source that is being followed. `cursor` is what the store has."""

    source: LogSource
    ended: bool
    cursor: Cursor
    gap_from_at: int | None  # nobody looked since then; None once we have seen its end
    gap: decide.Gap | None = None
    size: int = -1
    grew_s: float = -math.inf
    due_s: float = -math.inf
    behind_s: float | None = None  # since when something waits
    unreadable: int = 0  # the error number of the last try
    freed: int = 0

    @property
    def backlog(self) -> int:
        return max(0, self.size - self.cursor.offset)

    @property
    def is_done(self) -> bool:
        return self.cursor.drained


def follow(row: SourceRow, cursor: Cursor | None, *, now_s: float) -> Tail:
    """Begin to follow a source, where the store stands."""
    at = cursor or Cursor(at=row.created_at)
    if row.ended_at is None and at.drained:  # opened again
        at = Cursor(at.offset, at.at, at.dropped)
    since_at = max(at.at, row.created_at)
    return Tail(row.source, ended=row.ended_at is not None, cursor=at, gap_from_at=since_at, grew_s=now_s)


@dataclass(frozen=True, slots=True)
class Look:
    """What a pass knows: the wall clock in ms, a monotonic clock in s, the quota of an app."""

    now: int
    now_s: float
    per_app_bytes: int


def take(tail: Tail, allowance: decide.Allowance, look: Look) -> Taken | None:
    """What can be taken from the source now; None when there is nothing to write down."""
    if tail.is_done:
        return None
    ended = tail.ended  # read before the file: what is there now is then all there will be
    try:
        if not ended and tail.gap_from_at is None and _is_quiet(tail):
            tail.behind_s = None
            return None
        with raw.opened(tail.source.path) as fd:
            return _take(tail, fd, ended, allowance, look)
    except OSError as error:
        if error.errno != errno.ENOENT and tail.unreadable != error.errno:
            log.warning("observe.source.unreadable", source=tail.source.id, error=error.strerror)
        tail.unreadable, tail.size, tail.behind_s = error.errno or 0, -1, None
        if error.errno == errno.ENOENT:  # seen to be empty
            tail.gap = tail.gap_from_at = None
        return _drained(tail) if ended and error.errno in _LOST else None


def _is_quiet(tail: Tail) -> bool:
    """Whether the file is as it was left, all of it read; asked of hundreds of files each second."""
    size = os.lstat(tail.source.path).st_size
    return size == tail.size == tail.cursor.offset and not tail.cursor.dropped


def _take(tail: Tail, fd: int, ended: bool, allowance: decide.Allowance, look: Look) -> Taken | None:
    status = os.fstat(fd)
    tail.unreadable = 0
    if status.st_size != tail.size:
        tail.size, tail.grew_s = status.st_size, look.now_s
    cursor = tail.cursor
    if tail.size < cursor.offset:  # somebody emptied the file: it begins anew
        cursor = Cursor(0, cursor.at, cursor.dropped)
        tail.freed = 0
    waiting = tail.size - cursor.offset
    tail.behind_s = None if waiting == 0 else tail.behind_s if tail.behind_s is not None else look.now_s
    if waiting == 0:
        tail.gap_from_at = tail.gap = None
        if ended:
            return _drained(tail)
        return Taken(tail.source, (), cursor) if cursor != tail.cursor else _notice(tail, cursor, look)
    if tail.gap is None and tail.gap_from_at is not None:
        cursor = replace(cursor, offset=raw.first_data(fd, cursor.offset))  # the store was lost, the file is not
        until_at = max(tail.gap_from_at, min(look.now, status.st_mtime_ns // 1_000_000))
        tail.gap = decide.Gap(cursor.offset, tail.gap_from_at, tail.size, until_at)
    bound = look.per_app_bytes if tail.gap is not None else min(look.per_app_bytes, LIVE_BACKLOG_BYTES)
    target = decide.drop_target(offset=cursor.offset, size=tail.size, backlog_bytes=bound)
    if target is not None:
        offset, lines = raw.skip(fd, offset=cursor.offset, target=target)
        return Taken(tail.source, (), Cursor(offset, cursor.at, cursor.dropped + lines))
    return _take_lines(tail, fd, cursor, ended, allowance, look)


def _take_lines(
    tail: Tail, fd: int, cursor: Cursor, ended: bool, allowance: decide.Allowance, look: Look
) -> Taken | None:
    if allowance.lines < 1 or allowance.octets < 1:
        return None
    chunk = os.pread(fd, raw.CHUNK_BYTES, cursor.offset)
    reaches_end = cursor.offset + len(chunk) >= tail.size
    quiet = look.now_s - tail.grew_s >= PARTIAL_S
    final = reaches_end and (ended or quiet)
    cut = decide.cut(chunk, final=final, max_lines=max(1, min(LINES_PER_TAKE, int(allowance.lines))))
    if not cut.consumed:
        return None
    allowance.take(lines=len(cut.lines), octets=cut.consumed)
    end = cursor.offset + cut.consumed
    at = decide.moments(len(cut.lines), start=cursor.offset, end=end, gap=tail.gap, previous_at=cursor.at, now=look.now)
    lines = tuple(map(Line, at, cut.lines))
    if cursor.dropped and lines:
        lines = (Line(lines[0].at, decide.dropped_message(cursor.dropped), "warning"), *lines)
    last_at = lines[-1].at if lines else cursor.at
    return Taken(tail.source, lines, Cursor(end, last_at, 0 if lines else cursor.dropped))


def _notice(tail: Tail, cursor: Cursor, look: Look) -> Taken | None:
    """Everything is read: say what was dropped, should nothing have followed it."""
    if not cursor.dropped:
        return None
    at = max(look.now, cursor.at)
    return Taken(
        tail.source,
        (Line(at, decide.dropped_message(cursor.dropped), "warning"),),
        Cursor(cursor.offset, at),
    )


def _drained(tail: Tail) -> Taken:
    cursor = tail.cursor
    lines = (Line(cursor.at, decide.dropped_message(cursor.dropped), "warning"),) if cursor.dropped else ()
    return Taken(tail.source, lines, Cursor(cursor.offset, cursor.at, 0, drained=True))


def kept(tail: Tail, taken: Taken) -> None:
    """The store has it: go on from there."""
    tail.cursor = taken.cursor
    if tail.gap is not None and taken.cursor.offset >= tail.gap.size:
        tail.gap = tail.gap_from_at = None


def again_s(tail: Tail, look: Look, *, watched: bool) -> float:
    """When to look at the source again, on the monotonic clock. Quiet sources are looked at together."""
    pause_s = decide.poll_s(look.now_s - tail.grew_s, watched=watched)
    return look.now_s + pause_s if pause_s < 1.0 else math.floor(look.now_s) + 1.0
