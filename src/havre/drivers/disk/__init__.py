"""Trees on the disk that somebody else wrote: removed, given away and measured, whatever their depth, modes and links.

The work is that of coreutils' rm, chown, chmod and du, which follow no link and know no depth at which they give up;
Python's own walkers recurse, and a repository with a thousand folders in each other ends them.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from havre.base.errors import UnavailableError

LIMIT_S = 600.0
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


def remove(folder: Path) -> None:
    """Remove `folder` and all below it; nothing there is well. Nobody may be writing in it any more.

    Raises UnavailableError when something of it stays.
    """
    if not os.path.lexists(folder):
        return
    _run("rm", "-rf", "--one-file-system", "--", str(folder))
    if os.path.lexists(folder):  # folders that its owner, who is us, may not enter
        _run("chmod", "-R", "u+rwX", "--", str(folder))
        done = _run("rm", "-rf", "--one-file-system", "--", str(folder))
        if os.path.lexists(folder):
            raise UnavailableError(f"{folder} could not be removed", rm=done.stderr.strip()[-300:])


def give(folder: Path, uid: int) -> None:
    """Make `uid` the owner of everything from `folder` down, never following a link. Raises UnavailableError."""
    done = _run("chown", "-R", "-h", "-P", f"{uid}:{uid}", "--", str(folder))
    if done.returncode != 0:
        raise UnavailableError(f"{folder} could not be given to its app", chown=done.stderr.strip()[-300:])


def size_bytes(folder: Path) -> int:
    """What the files below `folder` take on the disk; 0 when there is no such folder."""
    words = _run("du", "-s", "-B1", "--", str(folder)).stdout.split()
    return int(words[0]) if words else 0


def sizes_bytes(places: Sequence[Path], *, limit_s: float) -> dict[Path, int]:
    """What each of `places` takes on the disk, a file with several links counted once; those that were measured within
    `limit_s`, in their order. What is not there is left out."""
    argv = ["du", "-s", "-B1", "-0", "--", *map(str, places)]
    try:
        said = subprocess.run(argv, capture_output=True, env=_ENVIRONMENT, timeout=limit_s, cwd="/").stdout
    except subprocess.TimeoutExpired as cut:
        said = cut.stdout or b""
    found = {}
    for line in said.split(b"\0")[:-1]:
        size, _, place = line.partition(b"\t")
        found[Path(os.fsdecode(place))] = int(size)
    return found


def _run(*argv: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(argv, capture_output=True, text=True, env=_ENVIRONMENT, timeout=LIMIT_S, cwd="/")
    except subprocess.TimeoutExpired as cause:
        raise UnavailableError(f"{argv[0]} took too long", folder=argv[-1]) from cause
