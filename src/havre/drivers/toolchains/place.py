"""Where a toolchain is put: a directory that appears whole or not at all, whoever is interrupted."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from havre.base.errors import UnavailableError
from havre.drivers.disk.whole import differs, write_whole


@contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """An empty directory below `root`, on the file system that toolchains are on; gone at the end."""
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".fetch-") as folder:
        yield Path(folder)


def put(fresh: Path, place: Path) -> None:
    """Make `fresh` the toolchain at `place`. Raises UnavailableError when that cannot be written."""
    try:
        fresh.rename(place)
    except OSError as cause:
        if not place.exists():  # else somebody was faster
            raise UnavailableError(f"{place} could not be written: {cause.strerror}") from cause


def use(root: Path, name: str, place: Path) -> None:
    """Remember that the toolchain `name` is `place`, and that it is used now; `touch` finds it again."""
    record = root / ".named" / name
    try:
        if differs(record, place.name):
            record.parent.mkdir(exist_ok=True)
            write_whole(record, place.name)
        os.utime(place)
    except OSError:
        return  # a shared place that is not ours to write


def touch(root: Path, name: str) -> None:
    """The toolchain `name` is needed still, if it is there."""
    try:
        os.utime(root / (root / ".named" / name).read_text())
    except OSError:
        return


def collect(root: Path, *, idle_s: float, kept: Iterable[str]) -> tuple[str, ...]:
    """Remove what was not used for `idle_s` by the clock of the file system, but `kept`. Returns what went."""
    try:
        with tempfile.TemporaryFile(dir=root) as file:
            before = os.fstat(file.fileno()).st_mtime - idle_s
    except OSError:
        return ()  # nothing was ever fetched, or it is not ours to write
    gone = []
    for each in sorted(root.iterdir()):
        try:
            is_old = each.is_dir() and each.stat().st_mtime < before
            if is_old and each.name not in {*kept, ".named"}:
                hidden = each if each.name.startswith(".") else each.rename(root / f".gone-{each.name}")
                shutil.rmtree(hidden)
                gone.append(each.name)
        except OSError:
            continue
    return tuple(gone)


def open_to_all(folder: Path) -> None:
    """Whoever an app runs as may read what is in `folder`."""
    for each in (folder, *folder.rglob("*")):
        if not each.is_symlink():
            each.chmod(each.stat().st_mode | (0o755 if each.is_dir() or each.stat().st_mode & 0o100 else 0o644))


def link(source: str, target: str) -> str:
    """Share the file where the file system lets us, else copy it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
