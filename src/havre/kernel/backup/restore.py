"""Puts an archive into an empty data folder.

Everything is verified before anything is written. What is written stands in `.restoring` until all of it is there; then
it is moved to its places, the database last. A restore that was cut off leaves `.restoring` behind: the platform does
not start on that, and the next restore begins anew.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from havre.base.errors import ConflictError, HavreError
from havre.drivers import git
from havre.kernel.backup.archive import extract, room_for, verify
from havre.kernel.backup.model import DATABASE, SETTINGS, Manifest
from havre.kernel.backup.take import KEPT, Tell
from havre.kernel.lock import LOCK, UNFINISHED, locked

IGNORED = frozenset({LOCK, "lost+found"})
OURS = frozenset({DATABASE, SETTINGS, UNFINISHED, "git", *(each.split("/")[0] for each in KEPT)})


def restore(archive: Path, place: Path, *, known: Mapping[str, int], now: int, tell: Tell) -> Manifest:
    """Make the data folder `place` of an archive. known: see `verify`. now: ms.

    Raises ConflictError when there is something in the folder, InvalidError for an archive that is damaged or newer,
    ExhaustedError when the disk is full; the folder is then as it was.
    """
    check_empty(place)
    manifest = verify(archive, known=known)
    tell(f"verified     {len(manifest.items)} items, {manifest.bytes / 1024**2:.1f} MiB")
    with room_for(place):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(place, unfinished=True):
            check_empty(place)
            _clear(place)
            try:
                _fill(archive, manifest, place, now=now, tell=tell)
            except (OSError, HavreError, sqlite3.Error):
                _clear(place)
                raise
    return manifest


def check_empty(place: Path) -> None:
    """Raises ConflictError when there is anything in the data folder but what a cut-off restore left there."""
    found = {each.name for each in place.iterdir()} - IGNORED if place.is_dir() else set()
    if found and not (UNFINISHED in found and found <= OURS):
        named = ", ".join(sorted(found)[:3])
        raise ConflictError(f"{place} is not empty ({named}); restore into a new folder: --data DIR")


def _clear(place: Path) -> None:
    for each in place.iterdir():
        if each.name in OURS - {UNFINISHED}:
            shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
    shutil.rmtree(place / UNFINISHED, ignore_errors=True)


def _fill(archive: Path, manifest: Manifest, place: Path, *, now: int, tell: Tell) -> None:
    scratch = place / UNFINISHED
    scratch.mkdir(mode=0o700)
    made = 0
    for item, file in extract(archive, manifest, scratch):
        if item.kind == "repository":
            git.read_bundle(file, file.with_suffix(""))
            file.unlink()
            made += 1
            tell(f"repository   {made} of {manifest.repositories}: {file.with_suffix('').stem}")
        elif item.kind == "database":
            _mark(file, manifest, now)
            tell(f"state        {item.bytes / 1024**2:.1f} MiB")
    for folder, _, _ in os.walk(scratch):
        os.chmod(folder, 0o700)
    _sync(scratch)
    names = sorted((each.name for each in scratch.iterdir()), key=lambda name: name == DATABASE)
    for name in names:
        (scratch / name).rename(place / name)
    scratch.rmdir()
    _sync(place)


def _mark(database: Path, manifest: Manifest, now: int) -> None:
    """For the first start: what the database tells of processes and builds is not true here (`settle`)."""
    conn = sqlite3.connect(database)
    try:
        with conn:
            conn.execute("create table if not exists restored (at integer not null, made_at integer not null)")
            conn.execute("insert into restored values (?, ?)", (now, manifest.made_at))
    finally:
        conn.close()


def _sync(folder: Path) -> None:
    """Everything on the folder's file system is on the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        ctypes.CDLL(None, use_errno=True).syncfs(fd)
    finally:
        os.close(fd)
