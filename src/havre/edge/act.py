"""The proxy's directories: read them, carry out one step. Every change is one rename or one unlink.

<run>/routes/<name>.sock             -> ../apps/<app>.sock
<run>/l/<name>.sock/<mark><token>    -> ../../apps/<app>.sock; which connections are kept, see decide.token_of
<run>/k/<host>.sock                  -> ../apps/<app>.sock, the same at once; see decide.at_once
<run>/s/<name>.sock                  -> ../slots/<app>
<run>/slots/<app>/<slot>             -> ../../i/<app>/<generation>-<number>.sock, an instance's own socket
<run>/tcp/<port>                     -> ../apps/<app>.tcp
<run>/flags/known/<name>.sock        the platform serves this name
<run>/flags/force-https/<name>.sock  plain HTTP is sent to HTTPS
<run>/flags/sticky/<name>.sock       visitors stay with their instance
<run>/flags/down/<name>.sock         no instance accepts, and none is waited for
<run>/flags/long/<host>.sock         nobody is led over k/<host>.sock
<run>/waiting/<app>                  since when (mtime) an app that may come back is waited for
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import get_args

from havre.base.errors import UnavailableError
from havre.edge.model import LINKS, Drop, Key, Put, Step, Tree

SOCKET_PATH_LIMIT = 107  # bytes, unix(7)
TOKEN = 9  # a mark and a token
SUFFIX = ".sock"
TCP_SUFFIX = ".tcp"
# where the links of a tree lead to, below <run>
_TARGETS: dict[Tree, Callable[[Key, str], str]] = {
    "routes": lambda _, app_id: f"apps/{app_id}{SUFFIX}",
    "tcp": lambda _, app_id: f"apps/{app_id}{TCP_SUFFIX}",
    "l": lambda _, app_id: f"apps/{app_id}{SUFFIX}",
    "k": lambda _, app_id: f"apps/{app_id}{SUFFIX}",
    "s": lambda _, app_id: f"slots/{app_id}",
    "slots": lambda key, door: f"i/{key.name.partition('/')[0]}/{door}",
}


def folder(run: Path, tree: Tree) -> Path:
    return run / tree if tree in LINKS else run / "flags" / tree


def prepare(run: Path) -> None:
    """Make the directories; again after a reboot took them away."""
    for each in (*(folder(run, tree) for tree in get_args(Tree)), run / "waiting"):
        if not each.is_dir():
            each.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextlib.contextmanager
def exclusively(lock: Path) -> Iterator[None]:
    """One pass at a time, also across processes: an older view of what is wanted must not be carried out later."""
    with open(lock, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def seen_entries(run: Path, keys: Collection[Key] | None = None) -> dict[Key, str]:
    """What stands in the directories: everything, or of `keys`. A link to a strange place has the value `?`."""
    found: dict[Key, str] = {}
    roots: dict[Tree, str] = {tree: str(folder(run, tree)) for tree in get_args(Tree)}
    if keys is not None:
        for key in keys:
            if os.path.lexists(f"{roots[key.tree]}/{key.name}"):
                found[key] = _value(roots[key.tree], key)
        return found
    for tree, root in roots.items():
        for name in _files_below(root, ""):
            key = Key(tree, name)
            found[key] = _value(root, key)
    return found


def _files_below(root: str, inside: str) -> Iterator[str]:
    with os.scandir(f"{root}/{inside}") as entries:
        for entry in entries:
            name = f"{inside}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(root, name + "/")
            else:
                yield name


def _value(root: str, key: Key) -> str:
    """There are several for each host, and ten thousand hosts: nothing here makes a Path."""
    if key.tree not in LINKS:
        return ""
    try:
        text = os.readlink(f"{root}/{key.name}")
    except OSError:
        return "?"
    last = text.rpartition("/")[2]
    value = last if key.tree == "slots" else last.removesuffix(SUFFIX).removesuffix(TCP_SUFFIX)
    return value if text == _text(key, value) else "?"


def _text(key: Key, value: str) -> str:
    """What the link of `key` says: relative, so that the whole directory may be looked at from elsewhere."""
    return "../" * (1 + key.name.count("/")) + _TARGETS[key.tree](key, value)


def is_held(path: Path) -> bool:
    """Whether a process has the socket at `path` open; nobody is connected to, and nobody is woken.

    A datagram socket may not be connected to a stream socket: the kernel says so (EPROTOTYPE) when there is one, and
    ECONNREFUSED when there is but its file (unix(7)). The table in /proc/net/unix would tell of all at once, and
    leaves some out while others come and go.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        return probe.connect_ex(str(path)) == errno.EPROTOTYPE


def listening_sockets(
    run: Path, app_ids: Collection[str] | None = None
) -> tuple[frozenset[str], dict[str, tuple[str, ...]]]:
    """Who is there, of `app_ids` or of all: the apps whose socket somebody holds, and for each app with an instance
    that accepts the doors of those instances.

    A door is a symlink to the instance's own socket, there while it accepts. An app that listens and has no doors at
    all is taken to accept: its instances are of before there were any.
    """
    if app_ids is None:
        app_ids = {each.removesuffix(SUFFIX) for each in _names(run / "apps") if each.endswith(SUFFIX)}
        app_ids |= set(_names(run / "i"))
    found = frozenset(each for each in app_ids if is_held(run / "apps" / f"{each}{SUFFIX}"))
    accepting: dict[str, tuple[str, ...]] = {}
    for app_id in app_ids:
        folder = run / "i" / app_id
        if not folder.is_dir():
            if app_id in found:
                accepting[app_id] = ()
            continue
        doors = [name for name in _names(folder) if (folder / name).is_symlink() and is_held(folder / name)]
        if doors:
            accepting[app_id] = tuple(sorted(doors))
    return found, accepting


def units_of(run: Path, accepting: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The sockets that the doors lead to: each unit's own, so that a successor is told from who had the door before."""
    found = {}
    for app_id, doors in accepting.items():
        behind = []
        for door in doors:
            with contextlib.suppress(OSError):
                behind.append(os.readlink(run / "i" / app_id / door))
        found[app_id] = tuple(behind)
    return found


def kept_keys(run: Path, names: Collection[str], marks: str) -> set[Key]:
    """What stands for `names` where connections are kept."""
    found = {name: _names(run / "l" / name) for name in names}
    return {Key("l", f"{name}/{each}") for name, entries in found.items() for each in entries if each[0] in marks}


def has_room(run: Path, name: str) -> bool:
    """Whether the link under which connections to `name` are kept can be dialled."""
    return len(f"{run}/l/{name}/") + TOKEN <= SOCKET_PATH_LIMIT


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def collect_doors(run: Path) -> None:
    """Remove what instances that were killed have left: sockets that nobody has open any more, and links to them."""
    for app_id in _names(run / "i"):
        folder = run / "i" / app_id
        for name in sorted(_names(folder)):
            if not is_held(folder / name) and not name.endswith(".new"):
                (folder / name).unlink(missing_ok=True)


def waits(run: Path) -> dict[str, float]:
    """Since when each app is waited for (s since the epoch)."""
    found = {}
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(run / "waiting"):
            with contextlib.suppress(FileNotFoundError):
                found[entry.name] = entry.stat().st_mtime
    return found


def set_waits(run: Path, *, begin: Collection[str], end: Collection[str], now: float) -> None:
    for app_id in begin:
        file = run / "waiting" / app_id
        file.touch()
        os.utime(file, (now, now))
    for app_id in end:
        (run / "waiting" / app_id).unlink(missing_ok=True)


def apply(run: Path, step: Step) -> None:
    """Carry out `step`; a repeat does no harm. Raises UnavailableError naming the file."""
    root = folder(run, step.key.tree)
    file = root / step.key.name
    try:
        match step:
            case Put():
                file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                if step.key.tree in LINKS:
                    _link(run, step.key, step.value)
                else:
                    file.touch()
            case Drop():
                file.unlink(missing_ok=True)
                _remove_empty(file.parent, root)
    except OSError as cause:
        raise UnavailableError(f"the route {step.key.name} could not be changed", file=str(file)) from cause


def _link(run: Path, key: Key, value: str) -> None:
    fresh = run / "route.new"  # one writer at a time: see `exclusively`
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(_text(key, value))
    fresh.replace(folder(run, key.tree) / key.name)


def _remove_empty(parent: Path, root: Path) -> None:
    while parent != root:
        try:
            parent.rmdir()
        except OSError:
            return
        parent = parent.parent


def ports_in_use() -> frozenset[int]:
    """The TCP ports on which somebody of this machine listens (proc(5), /proc/net/tcp)."""
    found = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A":  # LISTEN
                    found.add(int(fields[1].rpartition(":")[2], 16))
    return frozenset(found)
