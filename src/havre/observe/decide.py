"""Pure decisions about raw bytes: where lines end, when they were written, how many an app may write.

Nothing of a file is lost or taken twice here: what `cut` does not consume is read again later.
"""

from __future__ import annotations

from dataclasses import dataclass

LINE_BYTES = 64 * 1024  # a longer line continues as the next one
HEAD_BYTES = 128  # of a file of the access log; its first line is longer


@dataclass(frozen=True, slots=True)
class Cut:
    """Lines, without their ends, and how many bytes of the chunk they took."""

    lines: tuple[str, ...]
    consumed: int


def cut(chunk: bytes, *, final: bool, max_lines: int) -> Cut:
    """Cut a chunk into lines. An unfinished last line is taken only when `final`, or past LINE_BYTES.

    Bytes that are no UTF-8 are replaced; a zero byte, which no reader of logs can show, is left out.
    """
    *whole, rest = chunk.split(b"\n")
    lines: list[str] = []
    consumed = 0
    for raw in whole:
        if len(lines) >= max_lines:
            return Cut(tuple(lines), consumed)
        consumed += len(raw) + 1
        lines.extend(_text(piece) for piece in _pieces(raw))
    if rest and len(lines) < max_lines:
        pieces = _pieces(rest)
        taken = pieces if final else pieces[:-1]
        lines.extend(_text(piece) for piece in taken)
        consumed += sum(len(piece) for piece in taken)
    return Cut(tuple(lines), consumed)


def _pieces(raw: bytes) -> list[bytes]:
    """`raw` in pieces of at most LINE_BYTES that do not break a character."""
    if len(raw) <= LINE_BYTES:
        return [raw]
    pieces = []
    while len(raw) > LINE_BYTES:
        end = LINE_BYTES
        while end > LINE_BYTES - 4 and raw[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(raw[:end])
        raw = raw[end:]
    return [*pieces, raw]


def _text(raw: bytes) -> str:
    if b"\0" in raw:
        raw = raw.replace(b"\0", b"")
    return raw.removesuffix(b"\r").decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes written while nobody looked: between `offset` at `from_at` and `size` at `until_at`."""

    offset: int
    from_at: int
    size: int
    until_at: int

    def at(self, offset: int) -> int:
        """When the byte at `offset` was written, taken as an even pace."""
        share = (offset - self.offset) / max(1, self.size - self.offset)
        return int(self.from_at + (self.until_at - self.from_at) * min(1.0, max(0.0, share)))


def moments(count: int, *, start: int, end: int, gap: Gap | None, previous_at: int, now: int) -> list[int]:
    """When each of `count` lines in the bytes [start, end) was written; never before `previous_at`.

    Lines that we see as they come are of `now`; lines of a gap are spread over it.
    """
    if gap is None or start >= gap.size:
        return [max(now, previous_at)] * count
    first, last = gap.at(start), now if end > gap.size else gap.at(end)
    step = (last - first) / max(1, count)
    return [max(previous_at, int(first + step * (index + 1))) for index in range(count)]


@dataclass(slots=True)
class Allowance:
    """What an app may write now: a bucket of lines and bytes that refills at a steady rate."""

    lines_per_s: float
    bytes_per_s: float
    burst_s: float
    lines: float = 0.0
    octets: float = 0.0
    filled_at: float | None = None

    def refill(self, now: float) -> None:
        """`now`: seconds of a monotonic clock. The first refill fills it to the brim."""
        passed = self.burst_s if self.filled_at is None else max(0.0, now - self.filled_at)
        self.lines = min(self.lines_per_s * self.burst_s, self.lines + self.lines_per_s * passed)
        self.octets = min(self.bytes_per_s * self.burst_s, self.octets + self.bytes_per_s * passed)
        self.filled_at = now

    def take(self, *, lines: int, octets: int) -> None:
        self.lines -= lines
        self.octets -= octets


def drop_target(*, offset: int, size: int, backlog_bytes: int) -> int | None:
    """Up to which byte a source that is too far behind is skipped; None when it keeps up.

    The newest half of what may wait is kept.
    """
    return size - backlog_bytes // 2 if size - offset > backlog_bytes else None


def dropped_message(count: int) -> str:
    return f"{count} lines were dropped here: they came faster than logs are kept"


def poll_s(quiet_s: float, *, watched: bool) -> float:
    """How long to leave a file alone that has not grown for `quiet_s`."""
    return min(0.2 if watched else 1.0, max(0.1, quiet_s / 8))


def last_lines(chunk: bytes, *, lines: int) -> list[str]:
    """The last `lines` lines of the end of a file, of which the beginning may have been freed."""
    chunk = chunk.lstrip(b"\0")
    parts = chunk.removesuffix(b"\n").split(b"\n") if chunk else []
    return [_text(part) for part in parts[-lines:]]
