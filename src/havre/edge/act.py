"""The proxy's directories: read them, carry out one step. Every change is one rename or one unlink.

<run>/routes/<name>.sock             -> ../apps/<app>.sock
<run>/flags/known/<name>.sock        the platform serves this name
<run>/flags/force-https/<name>.sock  plain HTTP is sent to HTTPS
<run>/flags/down/<name>.sock         nobody listens at the app's socket: a hint, do not wait for it
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from havre.base.errors import UnavailableError
from havre.edge.model import Drop, Key, Put, Step, Tree

SUFFIX = ".sock"
ACCEPTS = 0x10000  # __SO_ACCEPTCON in the flags column of /proc/net/unix


def folder(run: Path, tree: Tree) -> Path:
    return run / "routes" if tree == "routes" else run / "flags" / tree


def prepare(run: Path) -> None:
    """Make the directories; again after a reboot took them away."""
    for tree in get_args(Tree):
        folder(run, tree).mkdir(mode=0o700, parents=True, exist_ok=True)


@contextlib.contextmanager
def exclusively(lock: Path) -> Iterator[None]:
    """One pass at a time, also across processes: an older view of what is wanted must not be carried out later."""
    with open(lock, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def seen_entries(run: Path) -> dict[Key, str]:
    """Everything that stands in the directories. A link to anything but a socket of ours has the value `?`."""
    found: dict[Key, str] = {}
    for tree in get_args(Tree):
        root = folder(run, tree)
        for parent, _folders, files in os.walk(root):
            for file in files:
                path = Path(parent) / file
                value = _app_of(path) if tree == "routes" else ""
                found[Key(tree, str(path.relative_to(root)))] = value
    return found


def _app_of(link: Path) -> str:
    try:
        target = Path(os.readlink(link))
    except OSError:
        return "?"
    return target.name.removesuffix(SUFFIX) if target.parent.name == "apps" else "?"


def listening_apps(run: Path) -> frozenset[str]:
    """The apps at whose socket somebody listens, as the kernel tells (proc(5), /proc/net/unix)."""
    found = set()
    place = f"{run / 'apps'}/"
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and int(fields[3], 16) & ACCEPTS and fields[7].startswith(place):
            found.add(fields[7].removeprefix(place).removesuffix(SUFFIX))
    return frozenset(found)


def apply(run: Path, step: Step) -> None:
    """Carry out `step`; a repeat does no harm. Raises UnavailableError naming the file."""
    root = folder(run, step.key.tree)
    file = root / step.key.name
    try:
        match step:
            case Put():
                file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                if step.key.tree == "routes":
                    _link(run, file, up=len(file.relative_to(run).parts) - 1, app_id=step.value)
                else:
                    file.touch()
            case Drop():
                file.unlink(missing_ok=True)
                _remove_empty(file.parent, root)
    except OSError as cause:
        raise UnavailableError(f"the route {step.key.name} could not be changed", file=str(file)) from cause


def _link(run: Path, file: Path, *, up: int, app_id: str) -> None:
    fresh = run / "route.new"  # one writer at a time: see `exclusively`
    fresh.unlink(missing_ok=True)
    fresh.symlink_to("../" * up + f"apps/{app_id}{SUFFIX}")
    fresh.replace(file)


def _remove_empty(parent: Path, root: Path) -> None:
    while parent != root:
        try:
            parent.rmdir()
        except OSError:
            return
        parent = parent.parent
