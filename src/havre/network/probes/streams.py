"""Reads what the probers write while they run: when each packet was sent, when it arrived."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path

from havre.network.probes.prober import CAPACITY

NAMES = ("in-4", "out-4", "in-6", "out-6")
NS_PER_MS = 1_000_000
SILENT_NS = 2_000_000_000
LATELY = 100  # packets
SWEEP = 50  # packets: more than a prober sends before it reads again


@dataclass(frozen=True, slots=True)
class Counted:
    """One direction of one family between two moments. longest_gap_ms: the longest time in which nothing that was sent
    arrived; 0 when all did."""

    name: str
    sent: int
    lost: int
    longest_gap_ms: float

    @property
    def direction(self) -> str:
        return self.name.partition("-")[0]

    @property
    def family(self) -> int:
        return int(self.name.partition("-")[2])


class Stream:
    """The two mapped files of one direction and family."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self._folder = name, folder
        self._files = _identities(folder, name)
        self._sent = _mapped(folder / f"{name}.sent")
        self._received = _mapped(folder / f"{name}.recv")

    @property
    def sent(self) -> int:
        """The newest number."""
        return int(self._sent[0])

    @property
    def received(self) -> int:
        return int(self._received[0])

    def count(self, first: int, last: int) -> Counted:
        """What became of the packets `first` to `last`."""
        lost, longest, began = 0, 0, 0
        for number in range(first, last + 1):
            if self._received[number]:
                began = 0
                continue
            lost += 1
            began = began or self._sent[number]
            until = self._sent[number + 1] or self._sent[number]
            longest = max(longest, until - began)
        return Counted(self.name, last - first + 1, lost, longest / NS_PER_MS)

    def lost_since(self, first: int, *, before_ns: int) -> tuple[int, int]:
        """How many of the packets from `first` on, sent before a moment, have not arrived; and where to look next."""
        lost, number = 0, first
        while number <= self._sent[0] and 0 < self._sent[number] < before_ns:
            lost += self._received[number] == 0
            number += 1
        return lost, number

    @property
    def swept_ns(self) -> int:
        """Until when who sends this has certainly read all that had come to it: it sends, then reads, and on a machine
        that is busy it does neither for a while. What comes late to it is not lost."""
        return int(self._sent[max(1, self._sent[0] - SWEEP)])

    def is_silent(self, *, now_ns: int) -> bool:
        """Whether nothing has been sent for a while: then nothing can be said of packets."""
        return now_ns - self._sent[self._sent[0]] > SILENT_NS

    @property
    def is_replaced(self) -> bool:
        """Whether the probers have begun anew, both of them."""
        found = _identities(self._folder, self.name)
        return all(one != other for one, other in zip(found, self._files, strict=True))

    def close(self) -> None:
        self._sent.release()
        self._received.release()


def other_way(name: str) -> str:
    """The stream in the other direction: who sends it receives this one."""
    way, _, family = name.partition("-")
    return f"{'out' if way == 'in' else 'in'}-{family}"


def open_all(folder: Path) -> tuple[Stream, ...]:
    return tuple(Stream(folder, each) for each in NAMES)


def is_sent(folder: Path, name: str) -> bool:
    """Whether somebody sends, whatever becomes of it."""
    try:
        return Stream(folder, name).sent > LATELY
    except (OSError, ValueError):
        return False


def is_flowing(folder: Path, name: str) -> bool:
    """Whether the last `LATELY` packets but the newest ten have arrived."""
    try:
        stream = Stream(folder, name)
    except (OSError, ValueError):
        return False
    last = stream.sent - 10
    return last > LATELY and stream.count(last - LATELY, last).lost == 0


def _identities(folder: Path, name: str) -> list[int]:
    return [(folder / f"{name}.{end}").stat().st_ino for end in ("sent", "recv")]


def _mapped(file: Path) -> memoryview:
    with open(file, "rb") as opened:
        if file.stat().st_size < 8 * CAPACITY:
            raise ValueError(f"{file} is not whole yet")
        return memoryview(mmap.mmap(opened.fileno(), 8 * CAPACITY, prot=mmap.PROT_READ)).cast("Q")
