"""One process at a time has an installation's data."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from havre.base.errors import ConflictError

LOCK = "lock"
UNFINISHED = ".restoring"  # a restore is under way here, or was cut off


@contextlib.contextmanager
def locked(place: Path, *, unfinished: bool = False) -> Iterator[None]:
    """Hold the installation. unfinished: also one whose restore was cut off.

    Raises ConflictError when it is held, or cannot be used.
    """
    place.mkdir(parents=True, exist_ok=True)
    with open(place / LOCK, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            raise ConflictError(f"Havre is already running on {place} (see: havre status)") from cause
        if (place / UNFINISHED).exists() and not unfinished:
            raise ConflictError(f"a restore into {place} was cut off; do it again (havre restore FILE --data {place})")
        yield
