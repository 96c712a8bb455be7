"""Where a toolchain is put: a directory that appears whole or not at all, whoever is interrupted."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from havre.base.errors import UnavailableError


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
