"""The pool: each package unpacked once, as a tree of its own, whose files all stacks share by hard links.

An entry appears whole or not at all. What no program reads at run time (manuals, translations) is left out, no file
is setuid or writable by others, and everything can be read by everybody. FORM names these rules: entries of another
form are made anew.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import anyio
import anyio.to_thread

from havre.base.errors import UnavailableError
from havre.drivers.debian.model import Package

FORM = "1"
UNPACK_S = 600.0
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
LEFT_OUT = ("man", "info", "locale", "lintian", "bug", "doc-base", "gtk-doc", "help")
_TAR = ["tar", "--extract", "--file=-", "--keep-directory-symlink", "--no-same-owner", "--warning=none"]


def skeleton(tree: Path) -> None:
    """The merged /usr: /bin and its like are links, before anything is unpacked (Debian bookworm and later)."""
    for name in MERGED:
        (tree / "usr" / name).mkdir(parents=True, exist_ok=True)
        if not (tree / name).is_symlink():
            (tree / name).symlink_to(f"usr/{name}")


class Pool:
    """The pool in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FORM
        self._old = folder

    def entry(self, package: Package) -> Path:
        return self._folder / package.file.removesuffix(".deb")

    def has(self, package: Package) -> bool:
        return (self.entry(package) / "bytes").exists()

    def bytes(self, package: Package) -> int:
        """What the files of the package take on disk."""
        try:
            return int((self.entry(package) / "bytes").read_text())
        except (OSError, ValueError):
            return 0

    async def unpack(self, packages: Sequence[Package], debs: Path) -> None:
        """Unpack the files of `packages` in `debs`, as many at a time as there are processors, large ones first.

        Raises UnavailableError, OSError: what the first that failed met.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        limiter = anyio.CapacityLimiter(max(2, os.cpu_count() or 2))
        try:
            async with anyio.create_task_group() as group:
                for each in sorted(packages, key=lambda each: -each.download_bytes):
                    group.start_soon(self._unpack_one, each, debs, limiter)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed

    async def _unpack_one(self, package: Package, debs: Path, limiter: anyio.CapacityLimiter) -> None:
        async with limiter:
            scratch = Path(tempfile.mkdtemp(dir=self._folder, prefix=".new-"))
            try:
                tree = scratch / "tree"
                await anyio.to_thread.run_sync(skeleton, tree)
                await _extract(debs / package.file, tree)
                size = await anyio.to_thread.run_sync(normalise, tree)
                (scratch / "bytes").write_text(str(size))
                scratch.chmod(0o755)
                _put(scratch, self.entry(package))
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
            (debs / package.file).unlink(missing_ok=True)

    def link(self, packages: Iterable[Package], tree: Path) -> None:
        """Show the files of `packages` in `tree`, in the order of their names."""
        skeleton(tree)
        for each in packages:
            _link(self.entry(each) / "tree", tree)

    def sweep(self) -> None:
        """Remove what interrupted makers left. The caller is the only one who makes."""
        for each in (*self._folder.glob(".new-*"), *(old for old in self._old.glob("*") if old != self._folder)):
            shutil.rmtree(each, ignore_errors=True)

    def collect(self, kept: Iterable[Package]) -> int:
        """Remove every entry but those of `kept`; how many went."""
        names = {self.entry(each).name for each in kept}
        gone = [each for each in self._folder.glob("[!.]*") if each.name not in names]
        for each in gone:
            shutil.rmtree(each, ignore_errors=True)
        return len(gone)


async def _extract(deb: Path, tree: Path) -> None:
    """dpkg-deb's stream into tar. Raises UnavailableError: a broken file, a full disk."""
    command = [*_TAR, *(f"--exclude=./usr/share/{name}/*" for name in LEFT_OUT), "--directory", str(tree)]
    reading, writing = os.pipe()
    try:
        with anyio.fail_after(UNPACK_S):
            opened = ["dpkg-deb", "--fsys-tarfile", str(deb)]
            async with await anyio.open_process(opened, stdout=writing, stdin=subprocess.DEVNULL) as source:
                os.close(writing)
                writing = -1
                done = await anyio.run_process(command, input=None, stdin=reading, check=False)
                os.close(reading)
                reading = -1
                code = await source.wait()
    except TimeoutError as cause:
        raise UnavailableError(f"{deb.name} could not be unpacked in time") from cause
    finally:
        for fd in (reading, writing):
            if fd >= 0:
                os.close(fd)
    if done.returncode != 0 or code != 0:
        said = done.stderr.decode(errors="replace").strip()[-300:]
        raise UnavailableError(f"{deb.name} could not be unpacked: {said or 'it is not a package'}")


def normalise(tree: Path) -> int:
    """Readable by everybody, setuid for nobody, without documents but licences; what the files take, in bytes."""
    total = 0
    for folder, folders, names, fd in os.fwalk(tree, follow_symlinks=False):
        os.chmod(folder, 0o755)
        in_documents = "/usr/share/doc" in folder
        for name in names:
            seen = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if not (stat.S_ISREG(seen.st_mode) or stat.S_ISLNK(seen.st_mode)) or (
                in_documents and name != "copyright" and stat.S_ISREG(seen.st_mode)
            ):
                os.unlink(name, dir_fd=fd)
                continue
            total += seen.st_blocks * 512
            if stat.S_ISREG(seen.st_mode):
                mode = 0o755 if seen.st_mode & 0o111 else 0o644
                if stat.S_IMODE(seen.st_mode) != mode:
                    os.chmod(name, mode, dir_fd=fd)
        for name in folders:
            seen = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISDIR(seen.st_mode) and stat.S_IMODE(seen.st_mode) != 0o755:
                os.chmod(name, 0o755, dir_fd=fd)
    return total


def _put(scratch: Path, place: Path) -> None:
    try:
        scratch.rename(place)
    except OSError:
        if not (place / "bytes").exists():  # else somebody was faster
            raise


def _link(source: Path, target: Path) -> None:
    with os.scandir(source) as found:
        for each in found:
            place = target / each.name
            if each.is_dir(follow_symlinks=False):
                if not place.is_dir():
                    place.mkdir(mode=0o755)
                    place.chmod(0o755)
                _link(Path(each.path), place)
            elif not (each.is_symlink() and place.is_dir()):
                share(Path(each.path), place)


def share(source: Path, place: Path) -> None:
    """`place` becomes the same file as `source`; a copy where the file system cannot link."""
    try:
        os.link(source, place, follow_symlinks=False)
    except FileExistsError:
        place.unlink()
        share(source, place)
    except OSError:
        shutil.copy2(source, place, follow_symlinks=False)
