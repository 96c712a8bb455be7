"""What a unit has written to the disk, watched while it runs.

Part of the monitor (standard library only). File systems have no quota that an ordinary user could set, so the trees
that a build may write are measured: exactly when the free space says that much may have changed, and not at all while
little did. A tree that cannot be measured because it is too deep has too much in it.
"""

from __future__ import annotations

import os
import stat
import time

LOOK_S = 0.25
SHARE = 4  # of what a tree may still grow: so much may change on the disk before it is measured again
LONGEST_S = 20.0
REST = 5  # a measurement that took t seconds is not repeated before t * REST
UNCOUNTED = 1 << 62  # a file system that does not count its files


def measure(paths):
    """Bytes and files below `paths`.

    Raises PermissionError for a folder that stays closed to us, and OSError for paths too long to be named.
    """
    octets = files = 0
    waiting = list(paths)
    while waiting:
        folder = waiting.pop()
        try:
            entries = look_into(folder)
        except (FileNotFoundError, NotADirectoryError):
            continue
        with entries:
            for entry in entries:
                try:
                    seen = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                octets += seen.st_blocks * 512
                files += 1
                if stat.S_ISDIR(seen.st_mode):
                    waiting.append(entry.path)
    return octets, files


def look_into(folder):
    """The entries of `folder`. As an ordinary user we own what a unit has made, and open what it has closed to itself:
    what nobody may look into would have no bound."""
    if not os.access(folder, os.R_OK | os.X_OK):
        place = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.chmod(f"/proc/self/fd/{place}", stat.S_IMODE(os.fstat(place).st_mode) | stat.S_IRUSR | stat.S_IXUSR)
        finally:
            os.close(place)
    return os.scandir(folder)


class Quota:
    """orders: `trees` [(name, path, bytes, files)], `reserve` (bytes, files) that must stay free on the disk."""

    def __init__(self, orders):
        self.trees = orders["trees"]
        self.reserve = orders["reserve"]
        self.base = self.free()
        self.look_at = time.monotonic()
        self.measure_at = 0.0
        self.headroom = (0, 0)

    def free(self):
        seen = os.statvfs(self.trees[0][1])
        return seen.f_bavail * seen.f_frsize, seen.f_favail if seen.f_files else UNCOUNTED

    def next_at(self):
        return self.look_at

    def broken(self, now):
        """What is wrong, in words; None when all is well."""
        self.look_at = now + LOOK_S
        octets, files = self.free()
        if octets < self.reserve[0]:
            return f"the disk has less than {self.reserve[0] // 1024**2} MiB left"
        if files < self.reserve[1]:
            return f"the disk has less than {self.reserve[1]} files left"
        used = self.base[0] - octets, self.base[1] - files
        grown = used[0] > self.headroom[0] or used[1] > self.headroom[1]
        if not grown and now < self.measure_at + LONGEST_S:
            return None
        if now < self.measure_at:
            return None
        return self.exactly()

    def exactly(self):
        """Measure every tree."""
        began = time.monotonic()
        headroom = []
        self.base = self.free()
        for name, path, most_octets, most_files in self.trees:
            try:
                octets, files = measure([path])
            except PermissionError:
                return f"{name} has a folder that cannot be looked into"
            except OSError:
                return f"{name}: folders are nested too deep"
            if octets > most_octets:
                return f"{name} has more than {most_octets // 1024**2} MiB"
            if files > most_files:
                return f"{name} has more than {most_files} files"
            headroom.append(((most_octets - octets) // SHARE, (most_files - files) // SHARE))
        self.headroom = min(each[0] for each in headroom), min(each[1] for each in headroom)
        took = time.monotonic() - began
        self.measure_at = time.monotonic() + took * REST
        return None
