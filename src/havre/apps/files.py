"""Trees on disk that belong to an app: safe paths, ownership, caches."""

from __future__ import annotations

import os
from pathlib import Path

from havre.base.errors import ExhaustedError, InvalidError
from havre.drivers.disk import give, remove, size_bytes

__all__ = ["check_room", "give", "inside", "open_cache", "remove", "size_bytes"]


def inside(folder: Path, relative: str) -> Path:
    """`folder/relative`, refused when it leads outside (by `..` or by a link)."""
    place = folder / relative
    if not place.resolve().is_relative_to(folder.resolve()):
        raise InvalidError(f"{relative} leads outside of the repository")
    return place


def open_cache(folder: Path, key: str) -> Path:
    """The app's dependency cache for `key`. With a new key the cache of the last one is carried over; there is one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = folder / key
    if not place.exists():
        others = sorted((each for each in folder.iterdir() if each.is_dir()), key=lambda each: each.stat().st_mtime)
        if others:
            others[-1].rename(place)
            for each in others[:-1]:
                remove(each)
        else:
            place.mkdir(mode=0o755)
    os.utime(place)
    return place


def check_room(folder: Path, *, reserve_bytes: int, reserve_files: int) -> None:
    """Raises ExhaustedError when the disk of `folder` has less left than what must stay free."""
    seen = os.statvfs(folder)
    free = seen.f_bavail * seen.f_frsize
    if free < reserve_bytes:
        raise ExhaustedError(f"the disk of the platform is full: {free // 1024**2} MiB are left; tell its operator")
    if seen.f_files and seen.f_favail < reserve_files:
        raise ExhaustedError(f"the disk of the platform is full: {seen.f_favail} files are left; tell its operator")
