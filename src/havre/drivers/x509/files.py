"""The files of an authority, and how a file is written that nobody else may read."""

from __future__ import annotations

import os
from pathlib import Path


def root_file(folder: Path) -> Path:
    """The root certificate of the authority in `folder` (PEM)."""
    return folder / "root.crt"


def key_file(folder: Path) -> Path:
    return folder / "root.key"


def write(file: Path, text: str, *, durably: bool = False, mode: int = 0o600) -> None:
    """A whole file or none, never readable for others unless `mode` says so."""
    fresh = file.with_name(file.name + ".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as out:
        out.write(text)
        if durably:
            out.flush()
            os.fsync(out.fileno())
    fresh.replace(file)
