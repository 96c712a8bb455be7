"""How much memory a unit has where no control group counts it: its processes', and what has but a name.

A file in memory belongs to no process: what is written to /tmp or /dev/shm of a unit, or to a `memfd_create`, stands in
nobody's figures until it is mapped. So to what processes have of their own is added what the unit's file system holds,
and what the descriptors lead to that have no place in any (memfd, and SysV segments by their mappings), each file once
and in full. Invariant: nothing is counted twice; what cannot be seen is not counted.

Not seen: a file that waits in a socket to be received, and one of a process that forbids a look at its descriptors
(prctl(2), PR_SET_DUMPABLE) while little of it is mapped.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

MOST_DESCRIPTORS = 10_000  # that are looked at of one unit: about 50 ms
NAMELESS = ("/memfd:", "/dev/zero (deleted)", "/SYSV")
FileId = tuple[int, int]  # device and inode


def is_large(pids: Sequence[int], inside: int, memory_bytes: int) -> bool:
    """Whether they have more than that, together. inside: a process that sees the unit's own files.

    First what costs little and counts too much.
    """
    resident = sum(_resident(pid) for pid in pids)
    if resident + _in_memory() <= memory_bytes:
        return False
    (device, written), nameless = _written(inside), _nameless(pids)
    files = written + sum(nameless.values())
    if resident + files <= memory_bytes:
        return False
    return files + sum(_proportional(pid, nameless, device) for pid in pids) > memory_bytes


def _resident(pid: int) -> int:
    """Bytes that a process has in memory, shared ones and all (proc(5))."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _in_memory() -> int:
    """Bytes that all files in memory of this machine have, and what was swapped out: no unit has more of them."""
    try:
        lines = [line.split() for line in Path("/proc/meminfo").read_text().splitlines()]
        found = {words[0]: int(words[1]) * 1024 for words in lines if len(words) > 1}
        return found["Shmem:"] + found["SwapTotal:"] - found["SwapFree:"]
    except (OSError, KeyError, ValueError):
        return 1 << 62


def _written(inside: int) -> tuple[int, int]:
    """The device of the unit's own file system in memory, and the bytes that it holds."""
    try:
        seen, place = os.statvfs(f"/proc/{inside}/root/tmp"), os.stat(f"/proc/{inside}/root/tmp")
        if place.st_dev == os.stat("/tmp").st_dev:  # it is on its way in
            return 0, 0
    except OSError:
        return 0, 0
    return place.st_dev, (seen.f_blocks - seen.f_bfree) * seen.f_frsize


def _nameless(pids: Iterable[int]) -> Mapping[FileId, int]:
    """The files without a place that processes hold open, and the bytes of each."""
    found: dict[FileId, int] = {}
    left = MOST_DESCRIPTORS
    for pid in pids:
        try:
            with os.scandir(f"/proc/{pid}/fd") as entries:
                for entry in entries:
                    left -= 1
                    if left < 0:
                        return found
                    if os.readlink(entry.path).startswith(NAMELESS):
                        seen = os.stat(entry.path)
                        found[seen.st_dev, seen.st_ino] = seen.st_blocks * 512
        except OSError:
            continue
    return found


def _proportional(pid: int, nameless: Mapping[FileId, int], device: int) -> int:
    """Bytes that a process has in memory, of shared ones its share; without the files that are counted in full."""
    found, is_counted = 0, True
    try:
        with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("Pss:"):
                    found += int(line.split()[1]) * 1024 if is_counted else 0
                elif line[0] in "0123456789abcdef":  # a mapping: range, rights, offset, device, inode, name
                    words = line.split(None, 5)
                    major, minor = (int(each, 16) for each in words[3].split(":"))
                    place = os.makedev(major, minor)
                    is_counted = place == 0 or (place != device and (place, int(words[4])) not in nameless)
    except (OSError, ValueError, IndexError):
        pass
    return found
