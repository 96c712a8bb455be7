"""Bare repositories and fresh work trees.

Nothing of the host's or anybody's git configuration is read, and a work tree appears whole or not at all.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from havre.base.errors import ExhaustedError, InvalidError, UnavailableError
from havre.drivers import disk

BRANCH = "refs/heads/master"
COMMAND_S = 300.0
FILES_LIMIT = 500_000
MODULES_LIMIT = 100
SETTINGS = {
    "safe.directory": "*",
    "protocol.allow": "never",
    "core.fsync": "all",
    "core.fsyncMethod": "batch",
    "gc.autoDetach": "false",  # a push that leaves too many packs behind packs them itself: nothing runs on after it
    "gc.auto": "2000",
    "gc.autoPackLimit": "50",
    "http.receivepack": "true",
    "http.getanyfile": "false",
    "core.logAllRefUpdates": "always",  # a commit that --force left behind can be deployed for a month more
}


def environment(extra: Mapping[str, str] | None = None, *, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """All that git is told. settings: git's own, above those of every repository. extra: further variables."""
    base = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    base |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0"}
    told = SETTINGS | dict(settings or {})
    for number, (name, value) in enumerate(told.items()):
        base |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return base | {"GIT_CONFIG_COUNT": str(len(told))} | dict(extra or {})


async def _ask(*args: str, extra: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run git to its end. Killed when the caller is cancelled or COMMAND_S have passed."""
    try:
        with anyio.fail_after(COMMAND_S):
            return await anyio.run_process(["git", *args], check=False, env=environment(extra), cwd="/")
    except FileNotFoundError as cause:
        raise UnavailableError("git is not installed on this machine") from cause
    except TimeoutError as cause:
        raise UnavailableError("git did not answer in time", command=args[0]) from cause


async def _run(*args: str, extra: Mapping[str, str] | None = None) -> str:
    done = await _ask(*args, extra=extra)
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()[-300:]
        raise UnavailableError(f"git {_verb(args)} failed", program="git", output=words)
    return done.stdout.decode(errors="replace").strip()


def _verb(args: tuple[str, ...]) -> str:
    return next((each for each in args if not each.startswith(("-", "/"))), "")


async def init(git_dir: Path) -> None:
    """Make the bare repository, or leave the one that is there."""
    if (git_dir / "HEAD").exists():
        return
    git_dir.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = git_dir.with_name(f"{git_dir.name}.{os.urandom(4).hex()}.new")
    await _run("init", "--quiet", "--bare", "--template=", "--initial-branch=master", str(fresh))
    try:
        fresh.rename(git_dir)
    except OSError as cause:
        shutil.rmtree(fresh, ignore_errors=True)
        if not (git_dir / "HEAD").exists():  # else somebody was faster
            raise UnavailableError("the repository could not be made", git_dir=str(git_dir)) from cause


async def head(git_dir: Path) -> str | None:
    """The commit of the deployed branch; None for an empty repository."""
    done = await _ask("--git-dir", str(git_dir), "rev-parse", "--verify", "--quiet", f"{BRANCH}^{{commit}}")
    return done.stdout.decode().strip() or None


async def set_branch(git_dir: Path, name: str) -> None:
    """Let the deployed branch be known as `name`, too, and by no name that it had before.

    It is a symbolic reference to BRANCH (git-symbolic-ref(1)): whichever of the two a push names, both move.
    """
    at, heads = ("--git-dir", str(git_dir)), git_dir / "refs" / "heads"
    wanted = f"refs/heads/{name}"
    known = await anyio.to_thread.run_sync(_symbolic, heads)
    for each in known - {wanted}:
        await _run(*at, "symbolic-ref", "--delete", each)
    if wanted != BRANCH and wanted not in known:
        await _run(*at, "symbolic-ref", wanted, BRANCH)


def _symbolic(heads: Path) -> set[str]:
    """The symbolic references among the branches: files of their own, for they are never packed."""
    found = (each for each in heads.rglob("*") if each.is_file() and not each.name.endswith(".lock"))
    return {f"refs/heads/{each.relative_to(heads).as_posix()}" for each in found if each.read_bytes()[:5] == b"ref: "}


@dataclass(frozen=True, slots=True)
class Commit:
    """`subject`: the first line of what its author said of it. at: when it was made, ms since the epoch."""

    id: str
    author: str
    subject: str
    at: int


async def commits(git_dir: Path, *, limit: int) -> list[Commit]:
    """What can be deployed, newest first: the branch's, and those that a forced push left behind."""
    if await head(git_dir) is None:
        return []
    form = "--format=%H%x1f%an%x1f%s%x1f%ct"
    said = await _run("--git-dir", str(git_dir), "log", "-z", f"--max-count={limit}", form, "--reflog", BRANCH, "--")
    found = []
    for line in filter(None, said.split("\0")):
        id, author, subject, at = line.split("\x1f")
        found.append(Commit(id, author[:100], subject[:200], int(at) * 1000))
    return found


async def checkout(git_dir: Path, commit: str, into: Path, *, limit_bytes: int, limit_files: int = FILES_LIMIT) -> None:
    """Write the files of `commit` to `into`, which must not exist, without `.git`. On the disk when this returns.

    What an interrupted checkout left beside `into` is removed first: one at a time in a parent directory.
    Raises InvalidError for an unknown commit, ExhaustedError for a tree larger than the limits.
    """
    at = ("--git-dir", str(git_dir))
    known = await _ask(*at, "cat-file", "-e", f"{commit}^{{commit}}")
    if known.returncode != 0:
        raise InvalidError(f"commit {commit} is not in this app's repository; push it first", commit=commit)
    await _measure(git_dir, commit, limit_bytes=limit_bytes, limit_files=limit_files)
    into.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in into.parent.glob(".*.new"):
        await anyio.to_thread.run_sync(disk.remove, left)
    scratch = into.with_name(f".{into.name}.new")
    tree = scratch / "tree"
    tree.mkdir(mode=0o755, parents=True)
    try:
        index = {"GIT_INDEX_FILE": str(scratch / "index")}
        await _run(*at, "read-tree", commit, extra=index)
        await _run(*at, "--work-tree", str(tree), "checkout-index", "--all", "--force", extra=index)
        await anyio.to_thread.run_sync(_publish, tree, into)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(disk.remove, scratch)


async def _measure(git_dir: Path, commit: str, *, limit_bytes: int, limit_files: int) -> None:
    """Refuse a tree beyond the limits before a file of it is written: a few kB of objects can name billions."""
    command = ["git", "--git-dir", str(git_dir), "ls-tree", "-r", "-l", "-z", "--full-tree", commit]
    files = total = 0
    rest = b""
    with anyio.move_on_after(COMMAND_S):
        async with await anyio.open_process(command, env=environment(), cwd="/", stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            async for part in process.stdout:
                *entries, rest = (rest + part).split(b"\0")
                sizes = [entry.split(None, 4)[3] for entry in entries]
                files += len(sizes)
                total += sum(int(size) for size in sizes if size.isdigit())
                if files > limit_files or total > limit_bytes:
                    process.kill()
                    raise ExhaustedError(_too_large(files, total, limit_bytes=limit_bytes, limit_files=limit_files))
        if process.returncode == 0:
            return
    raise UnavailableError("git could not list the files of the commit", commit=commit)


def _too_large(files: int, total: int, *, limit_bytes: int, limit_files: int) -> str:
    if files > limit_files:
        return f"this commit has more than {limit_files} files, the most that is allowed"
    return f"the files of this commit take more than {limit_bytes} bytes, the most that is allowed (at least {total})"


def _publish(tree: Path, into: Path) -> None:
    """Give the finished tree its name, with its files on the disk before."""
    fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        ctypes.CDLL(None, use_errno=True).syncfs(fd)
    finally:
        os.close(fd)
    tree.rename(into)
    parent = os.open(into.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


async def write_index(git_dir: Path, commit: str, index: Path) -> None:
    """Write git's index of `commit`, which names the commits of its submodules, to the file `index`."""
    await _run("--git-dir", str(git_dir), "read-tree", commit, extra={"GIT_INDEX_FILE": str(index)})


async def add_history(git_dir: Path, commit: str, tree: Path) -> None:
    """Make `tree/.git`: a repository of its own with the history of `commit`, which `tree` has the files of."""
    at = ("-C", str(tree))
    await _run("init", "--quiet", "--template=", "--initial-branch=master", str(tree))
    await _run(
        *at,
        "-c",
        "protocol.file.allow=always",
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
        str(git_dir),
        commit,
    )
    await _run(*at, "update-ref", "refs/heads/master", commit)
    await _run(*at, "read-tree", "HEAD")


async def submodules(git_dir: Path, commit: str) -> dict[str, str]:
    """The addresses of the submodules that `.gitmodules` of `commit` names, by their names.

    Raises InvalidError when it cannot be read or names more than MODULES_LIMIT.
    """
    command = ("config", "--blob", f"{commit}:.gitmodules", "--null", "--get-regexp", r"^submodule\..*\.url$")
    done = await _ask("--git-dir", str(git_dir), *command)
    if done.returncode == 1:
        return {}  # no such key
    if done.returncode != 0:
        raise InvalidError("the repository's .gitmodules cannot be read", commit=commit)
    found = {}
    for entry in done.stdout.decode(errors="replace").split("\0"):
        key, _, url = entry.partition("\n")
        if key:
            found[key.removeprefix("submodule.").removesuffix(".url")] = url
    if len(found) > MODULES_LIMIT:
        raise InvalidError(f"the repository has {len(found)} submodules; {MODULES_LIMIT} at most are fetched")
    return found


def size_bytes(git_dir: Path) -> int:
    """What the repository takes on disk, with what a push under way has brought."""
    total = 0
    for folder, _, files in os.walk(git_dir):
        for each in files:
            try:
                total += os.lstat(os.path.join(folder, each)).st_size
            except FileNotFoundError:
                continue
    return total
