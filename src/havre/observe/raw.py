"""Raw files of lines: read from an offset, skip what is too much, free what is kept elsewhere.

Reading never blocks an app and never moves its file: offsets stay valid for ever, because what is freed
becomes a hole and not a shorter file.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from havre.observe import decide

CHUNK_BYTES = 512 * 1024
SKIP_BYTES = 64 * 1024 * 1024  # looked at in one pass to count the lines that are skipped
TAIL_BYTES = 256 * 1024
KEPT_BYTES = 1024 * 1024  # of what was read, the end stays in the file
HOLE_BYTES = 4 * 1024 * 1024  # the smallest hole worth a call
_PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01  # linux/falloc.h


@contextmanager
def opened(path: Path, *, flags: int = os.O_RDONLY) -> Iterator[int]:
    """A descriptor of the regular file itself, never of what a link points to. Raises OSError."""
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        yield fd
    finally:
        os.close(fd)


def skip(fd: int, *, offset: int, target: int) -> tuple[int, int]:
    """Go over whole lines from `offset` to `target`, or as far as one pass goes: the new offset and the lines."""
    lines, at, last = 0, offset, offset
    target = min(target, offset + SKIP_BYTES)
    while at < target and (chunk := os.pread(fd, min(CHUNK_BYTES, target - at), at)):
        lines += chunk.count(b"\n")
        end = chunk.rfind(b"\n")
        if end >= 0:
            last = at + end + 1
        at += len(chunk)
    if last == offset:  # one endless line
        return at, 1
    return last, lines


def free(path: Path, *, upto: int) -> int:
    """Give the blocks before byte `upto` back to the disk, less a tail that people may want to read.

    Returns up to where the file is now empty; 0 where the file system cannot do it.
    """
    end = (upto - KEPT_BYTES) // 4096 * 4096
    if end <= 0:
        return 0
    try:
        with opened(path, flags=os.O_WRONLY) as fd:
            done = _libc.fallocate(fd, _PUNCH_HOLE_KEEP_SIZE, ctypes.c_int64(0), ctypes.c_int64(end))
    except OSError:
        return 0
    return end if done == 0 else 0


def first_data(fd: int, offset: int) -> int:
    """Where the file has bytes again, should it have been freed at `offset`."""
    try:
        return max(offset, os.lseek(fd, offset, os.SEEK_DATA))
    except OSError:
        return offset


def tail(path: Path, *, lines: int = 100) -> list[str]:
    """The last lines of a source's file; none when there is no such file."""
    try:
        with opened(path) as fd:
            size = os.fstat(fd).st_size
            start = max(0, size - TAIL_BYTES)
            chunk = os.pread(fd, TAIL_BYTES, start)
    except OSError:
        return []
    if start and b"\n" in chunk:
        chunk = chunk[chunk.index(b"\n") + 1 :]
    return decide.last_lines(chunk, lines=lines)


_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
_libc.fallocate.restype = ctypes.c_int
