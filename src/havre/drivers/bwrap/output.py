"""The output of one unit: from its pipe into its log file, bounded in speed and in bytes on the disk.

Part of the monitor (standard library only). A unit that says more than the disk shall take is slowed down, itself
and nobody else; what cannot be written because the disk is full is lost and counted, and the unit never notices. The
file only grows at its end and is freed at its beginning, in place: offsets stay valid for whoever reads it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import time

PIECE = 65536
PUNCH_HOLE_KEEP_SIZE = 0x03
NOTICE_S = 60.0
FULL_PAUSE_S = 1.0
EPOLLIN = 1


class Bounds:
    """How fast a unit may speak, in the long run and at once, and what of it stays on the disk."""

    def __init__(self, *, bytes_per_s, burst_bytes, limit_bytes, kept_bytes):
        self.bytes_per_s, self.burst_bytes = bytes_per_s, burst_bytes
        self.limit_bytes, self.kept_bytes = limit_bytes, kept_bytes


USUAL = Bounds(bytes_per_s=4 * 1024**2, burst_bytes=16 * 1024**2, limit_bytes=64 * 1024**2, kept_bytes=32 * 1024**2)


class Output:
    """`reading`: our end of the pipe, not blocking. `heard`: called when `lost` or `slowed` has changed."""

    def __init__(self, loop, heard, *, reading, path, bounds=USUAL):
        self.loop, self.heard, self.reading, self.bounds = loop, heard, reading, bounds
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.at = os.fstat(self.file).st_size
        self.freed = 0
        self.tokens, self.tokens_at = bounds.burst_bytes, time.monotonic()
        self.resume_at = None
        self.lost = self.lost_told = self.slowed = 0
        self.told_at = -NOTICE_S
        self.full_until = 0.0
        self.is_open = True
        loop.watch(reading, EPOLLIN, self.take)

    def next_at(self):
        return self.resume_at

    def tick(self, now):
        if self.resume_at is not None and self.resume_at <= now:
            self.resume_at = None
            self.loop.watch(self.reading, EPOLLIN, self.take)

    def take(self, _events):
        now = time.monotonic()
        self.tokens = min(self.bounds.burst_bytes, self.tokens + (now - self.tokens_at) * self.bounds.bytes_per_s)
        self.tokens_at = now
        if self.tokens < PIECE:
            self.slow_down(now)
            return
        try:
            moved = self.move(now)
        except (BlockingIOError, InterruptedError):
            return
        if moved == 0:
            self.close()
            return
        self.tokens -= moved

    def move(self, now):
        """Move one piece; returns its bytes, 0 at the end."""
        if now >= self.full_until:
            try:
                moved = os.splice(self.reading, self.file, PIECE, offset_dst=self.at, flags=os.SPLICE_F_NONBLOCK)
                self.at += moved
                self.keep_bounded()
                self.tell_lost()
                return moved
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    raise BlockingIOError from None
                if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EINVAL, errno.EIO, errno.EFBIG):
                    raise
                if error.errno == errno.EINVAL:
                    return self.copy(now)
                self.full_until = now + FULL_PAUSE_S
        return self.lose()

    def copy(self, now):
        """As `move`, for a file system without splice."""
        data = os.read(self.reading, PIECE)
        try:
            self.write(data)
        except OSError:
            self.full_until = now + FULL_PAUSE_S
            self.lost += len(data)
            self.heard()
        return len(data)

    def lose(self):
        data = os.read(self.reading, PIECE)
        self.lost += len(data)
        self.heard()
        return len(data)

    def write(self, data):
        while data:
            written = os.pwrite(self.file, data, self.at)
            self.at += written
            data = data[written:]
        self.keep_bounded()

    def keep_bounded(self):
        if self.at - self.freed > self.bounds.limit_bytes:
            libc = ctypes.CDLL(None, use_errno=True)
            end = (self.at - self.bounds.kept_bytes) // 4096 * 4096
            libc.fallocate(self.file, PUNCH_HOLE_KEEP_SIZE, ctypes.c_longlong(0), ctypes.c_longlong(end))
            self.freed = end

    def slow_down(self, now):
        self.loop.drop(self.reading)
        self.resume_at = now + self.bounds.burst_bytes / self.bounds.bytes_per_s / 16
        self.slowed += 1
        self.heard()
        if now - self.told_at >= NOTICE_S:
            self.told_at = now
            self.say(f"output is slowed down to {self.bounds.bytes_per_s // 1024**2} MiB a second")

    def tell_lost(self):
        if self.lost > self.lost_told:
            lost, self.lost_told = self.lost - self.lost_told, self.lost
            self.say(f"{lost} bytes of output were lost: the disk was full")

    def say(self, text):
        """A line of the platform's own among the unit's."""
        try:
            self.write(f"\n[havre] {text}\n".encode())
        except OSError:
            return

    def drain(self):
        """Every writer is gone: what the pipe holds is all there will be."""
        for _ in range(64):
            if self.is_open:
                self.tokens = self.bounds.burst_bytes
                self.take(0)

    def close(self):
        if self.is_open:
            self.is_open = False
            self.resume_at = None
            self.loop.drop(self.reading)
            os.close(self.reading)
            os.close(self.file)
