"""A stack being made, as its fixes see it. Its files are shared with the pool: none is ever written in place."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from havre.base.errors import UnavailableError
from havre.drivers.bwrap import sandbox
from havre.drivers.disk.whole import write_whole

RUN_S = 300.0
WRITABLE = ("usr", "etc", "var")


@dataclass(frozen=True)
class Tree:
    """`root` is the tree, `names` the packages in it. Paths are relative: `etc/passwd`."""

    root: Path
    names: frozenset[str]

    def has(self, path: str) -> bool:
        return os.path.lexists(self.root / path)

    def find(self, pattern: str) -> list[Path]:
        """What is there by that pattern, sorted."""
        return sorted(self.root.glob(pattern))

    def read(self, path: str) -> str:
        """The text of a file; empty when it is not there."""
        try:
            return (self.root / path).read_text(errors="replace")
        except OSError:
            return ""

    def write(self, path: str, content: str | bytes) -> None:
        """Put a file of our own, in the place of what stands there."""
        place = self.root / path
        self.folder(str(Path(path).parent))
        write_whole(place, content)

    def link(self, path: str, text: str) -> None:
        """Put a link that says `text`, unless something stands there."""
        if not self.has(path):
            self.folder(str(Path(path).parent))
            (self.root / path).symlink_to(text)

    def folder(self, path: str) -> None:
        place = self.root / path
        for each in (*reversed(place.relative_to(self.root).parents), Path(path)):
            if not (self.root / each).is_dir():
                (self.root / each).mkdir()
                (self.root / each).chmod(0o755)

    def own(self, paths: Iterable[str]) -> None:
        """Make copies of the files below `paths`, so that a program may write them in place."""
        for path in paths:
            for each in _files(self.root / path):
                fresh = each.with_name(f".{each.name}.new")
                shutil.copy2(each, fresh)
                fresh.rename(each)

    async def run(self, argv: Sequence[str], *, may_fail: bool = False) -> str:
        """Run a program of the tree in it: no network, its /usr, /etc and /var writable. What it printed.

        Raises UnavailableError with its last words when it fails, unless it may.
        """
        command = [str(sandbox.binary()), "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
        command += ["--uid", "0", "--gid", "0", "--setenv", "PATH", "/usr/sbin:/usr/bin", "--setenv", "HOME", "/tmp"]
        command += ["--setenv", "LC_ALL", "C.UTF-8"]
        for name in WRITABLE:
            command += ["--bind", str(self.root / name), f"/{name}"]
        for each in sorted(self.root.iterdir()):
            if each.is_symlink():
                command += ["--symlink", os.readlink(each), f"/{each.name}"]
        command += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/", "--", *argv]
        try:
            with anyio.fail_after(RUN_S):
                done = await anyio.run_process(command, check=False, env={}, stdin=subprocess.DEVNULL)
        except TimeoutError as cause:
            raise UnavailableError(f"{argv[0]} did not end within {RUN_S:.0f} s in the stack") from cause
        if done.returncode != 0 and not may_fail:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()[-300:]
            raise UnavailableError(f"{argv[0]} failed in the stack: {said}")
        return done.stdout.decode(errors="replace")


def _files(place: Path) -> Iterator[Path]:
    if place.is_file() and not place.is_symlink():
        yield place
    elif place.is_dir() and not place.is_symlink():
        for each in sorted(place.iterdir()):
            yield from _files(each)
