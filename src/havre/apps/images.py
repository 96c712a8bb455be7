"""Images of docker apps: what a build has left, and how its instances start.

All of it was written by the app's build, so nothing is believed: no link is followed, and every text has a bound.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from havre.apps.model import App
from havre.apps.runtimes import Plan
from havre.apps.runtimes.docker.script import DESCRIPTION, IMAGE_FOLDER, LAYOUTS, ROOT
from havre.base.errors import ExhaustedError, InvalidError, UnavailableError
from havre.kernel.config import Config, ImagesConfig
from havre.kernel.units import Bind, Users

LIMIT_BYTES = 1024**2
MOST_USERS = 65_536
LAST_USER = 2**32 - 2
STACK = "/opt/havre/stack"


@dataclass(frozen=True)
class User:
    """Numbers of a user inside, and its home."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/root"


@dataclass(frozen=True)
class Image:
    """root: its files. argv: what starts, with the entry point first. user: who it starts as, inside."""

    root: Path
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    user: User


def read_image(release: Path) -> Image:
    """The image in a release. Raises InvalidError saying what is missing or not as it should be."""
    folder = release / IMAGE_FOLDER
    try:
        with _folder(folder) as at:
            described = json.loads(_text(at, DESCRIPTION))
        with _folder(folder, ROOT):
            pass
    except (OSError, ValueError) as cause:
        raise InvalidError("the build left no image") from cause
    said = described.get("OCIv1", {}).get("config", {}) if isinstance(described, dict) else None
    if not isinstance(said, dict):
        raise InvalidError("the build left an image without a description")
    argv = (*_texts(said, "Entrypoint"), *_texts(said, "Cmd"))
    if not argv:
        raise InvalidError("the image does not say what it starts: its Dockerfile needs CMD or ENTRYPOINT")
    cwd = said.get("WorkingDir") or "/"
    if not isinstance(cwd, str) or not cwd.startswith("/") or "\0" in cwd:
        raise InvalidError("the image's WORKDIR is not a path")
    pairs = (each.partition("=") for each in _texts(said, "Env"))
    user = _user(folder / ROOT, said.get("User") or "")
    return Image(folder / ROOT, argv, {name: value for name, _, value in pairs if name}, cwd, user)


def users(app: App, config: Config) -> Users:
    """The host's users that are the app's alone. Raises ExhaustedError when there are no more."""
    first = config.build.images.first_user + (app.uid - config.apps.uid_base) * MOST_USERS
    if first + MOST_USERS > LAST_USER:
        raise ExhaustedError("no range of users is left for another docker app (build.images.first_user)")
    return Users(first, MOST_USERS)


def give_cache(app: App, config: Config, cache: Path) -> None:
    """As root: the folder of the cache is the app's; what is in it has many owners by now and is left as it is."""
    first = users(app, config).first
    os.chown(cache, first, first)


def image_of(plan: Plan, app: App, config: Config, release: Path) -> tuple[Image, Users] | None:
    """The image that instances of `plan` are started from, and their users; None for other kinds of apps."""
    if not plan.image:
        return None
    return read_image(release), users(app, config)


def starting(image: Image, tree: Path | None) -> tuple[tuple[str, ...], tuple[Bind, ...]]:
    """The arguments that start the image's program as its user, and what is shown for that.

    setpriv(1) becomes its user, with the loader of the stack `tree` (None: of the host): an image need not have
    any program of the kind, nor a C library.
    """
    user = image.user
    if user.uid == 0 and user.gid == 0:
        return image.argv, ()
    usr = Path("/usr") if tree is None else tree / "usr"
    loader = next(iter(sorted(usr.glob("lib/*-linux-*/ld-linux*.so.*"))), None)
    if loader is None or not (usr / "bin" / "setpriv").is_file():
        raise UnavailableError("there is no setpriv to become the image's user with; deploy the app again")
    library = f"{STACK}/usr/{loader.parent.relative_to(usr)}"
    begin = (f"{library}/{loader.name}", "--library-path", library, f"{STACK}/usr/bin/setpriv")
    groups = f"--groups={','.join(str(each) for each in user.groups)}" if user.groups else "--clear-groups"
    who = (f"--reuid={user.uid}", f"--regid={user.gid}", groups, "--")
    return (*begin, *who, *image.argv), (Bind(usr, f"{STACK}/usr"),)


def bases(config: ImagesConfig, *, is_root: bool) -> tuple[tuple[Bind, ...], dict[str, str]]:
    """What a build of an image sees of the operator's base images, and its variables.

    Raises InvalidError when images cannot be built here, with what the operator would have to do.
    """
    if not is_root:
        raise InvalidError("docker apps need a platform that runs as root here: an image has users of its own")
    if not config.layouts and not config.registry:
        raise InvalidError(
            "docker apps need base images: the operator names a folder of OCI layouts or a registry in [build.images]"
        )
    binds: tuple[Bind, ...] = ()
    if config.layouts:
        if not Path(config.layouts).is_dir():
            raise InvalidError(f"build.images.layouts: there is no folder {config.layouts}")
        binds = (Bind(Path(config.layouts), LAYOUTS),)
    return binds, {"HAVRE_REGISTRY": config.registry, "HAVRE_INSECURE": "true" if config.insecure else "false"}


def _texts(said: dict[str, Any], key: str) -> tuple[str, ...]:
    found = said.get(key) or []
    if not isinstance(found, list) or not all(isinstance(each, str) and "\0" not in each for each in found):
        raise InvalidError(f"the image's {key} is not a list of texts")
    return tuple(found)


def _user(root: Path, text: object) -> User:
    """USER: a name or a number, and with a colon its group. Names are those of the image's own /etc."""
    if not isinstance(text, str):
        raise InvalidError("the image's USER is not a text")
    name, _, group = text.partition(":")
    people, sets = _lines(root, "passwd"), _lines(root, "group")
    known = _entry(people, name or "0")
    number = int(known[2]) if known else _number(name or "0", "passwd")
    gid = int(known[3]) if known and len(known) > 3 and known[3].isdecimal() else 0
    if group:
        found = _entry(sets, group)
        gid = int(found[2]) if found else _number(group, "group")
    if max(number, gid) >= MOST_USERS:
        raise InvalidError(f"the image's USER {text} is past {MOST_USERS - 1}, the last that an image may have")
    member = known[0] if known else ""
    more = [int(each[2]) for each in sets if member and len(each) > 3 and member in each[3].split(",")]
    home = known[5] if known and len(known) > 5 and known[5].startswith("/") else "/"
    return User(number, gid, tuple(each for each in more if each < MOST_USERS), home)


def _lines(root: Path, file: str) -> list[list[str]]:
    """The entries of the image's passwd(5) or group(5) with a number; none when there is no such file."""
    try:
        with _folder(root, "etc") as at:
            lines = [line.split(":") for line in _text(at, file).splitlines()]
    except OSError:
        return []
    return [line for line in lines if len(line) > 2 and line[2].isdecimal()]


def _entry(lines: list[list[str]], name: str) -> list[str] | None:
    return next((line for line in lines if name in (line[0], line[2])), None)


def _number(name: str, file: str) -> int:
    if not name.isdecimal():
        raise InvalidError(f"the image's USER {name} is not in its /etc/{file}")
    return int(name)


@contextmanager
def _folder(*parts: Path | str) -> Iterator[int]:
    """An open directory; none of `parts` may be a link. Raises OSError."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    at = os.open(parts[0], flags)
    try:
        for each in parts[1:]:
            inner = os.open(each, flags, dir_fd=at)
            os.close(at)
            at = inner
        yield at
    finally:
        os.close(at)


def _text(at: int, name: str) -> str:
    """The text of a plain file in the open directory `at`. Raises OSError."""
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(f"{name} is not a plain file")
        return file.read(LIMIT_BYTES).decode(errors="replace")
