"""Trees on disk that belong to an app: safe paths, ownership, caches."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from havre.base.errors import ExhaustedError, InvalidError
from havre.drivers.disk import give, remove, size_bytes

__all__ = [
    "app_folder", "check_room", "give", "inside", "open_cache", "read_inside", "remove", "size_bytes",
    "write_for_sandbox",
]  # fmt: skip


def inside(folder: Path, relative: str) -> Path:
    """`folder/relative`, refused when it leads outside (by `..` or by a link)."""
    place = folder / relative
    if not place.resolve().is_relative_to(folder.resolve()):
        raise InvalidError(f"{relative} leads outside of the repository")
    return place


def app_folder(release: Path, env: Mapping[str, str]) -> Path:
    """The app's folder in a release: its top, or APP_FOLDER below it. Raises InvalidError when there is none."""
    relative = env.get("APP_FOLDER", "").strip("/")
    place = inside(release, relative) if relative else release
    if not place.is_dir():
        raise InvalidError(f"APP_FOLDER={relative} is not a folder of the repository")
    return place


def write_for_sandbox(file: Path, text: str) -> None:
    """Write a file that a sandbox's user reads."""
    file.write_text(text)
    file.chmod(0o644)


def read_inside(folder: Path, name: str, *, limit_bytes: int) -> bytes | None:
    """The first bytes of a plain file below `folder`; None for whatever else stands there or is reached by a link."""
    *parents, last = Path(name).parts
    if ".." in parents or last == "..":
        return None
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for parent in parents:
            inner = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = inner
        fd = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
    except OSError:
        return None
    finally:
        os.close(at)
    with open(fd, "rb") as file:
        return file.read(limit_bytes) if stat.S_ISREG(os.fstat(fd).st_mode) else None


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
