"""Bare repositories and fresh work trees."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import anyio
import anyio.to_thread

from havre.base.errors import ExhaustedError, InvalidError, UnavailableError

BRANCH = "refs/heads/master"
COMMAND_S = 300


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Nothing of the host's or anybody's configuration reaches git."""
    base = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    base |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0"}
    settings = {"safe.directory": "*", "protocol.file.allow": "never", "core.fsync": "all", "core.fsyncMethod": "batch"}
    settings |= {"receive.autogc": "false", "gc.auto": "0", "http.receivepack": "true"}
    for number, (name, value) in enumerate(settings.items()):
        base |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return base | {"GIT_CONFIG_COUNT": str(len(settings))} | dict(extra or {})


def _run(*args: str, extra: Mapping[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            ["git", *args], capture_output=True, text=True, timeout=COMMAND_S, env=environment(extra), errors="replace"
        )
    except FileNotFoundError as cause:
        raise UnavailableError("git is not installed on this machine") from cause
    except subprocess.TimeoutExpired as cause:
        raise UnavailableError("git did not answer in time", command=args[0]) from cause
    if done.returncode != 0:
        raise UnavailableError(f"git failed: {done.stderr.strip()[-300:]}", command=args[0])
    return done.stdout.strip()


async def init(git_dir: Path) -> None:
    """Make the bare repository, or leave the one that is there."""
    if not (git_dir / "HEAD").exists():
        fresh = git_dir.with_name(git_dir.name + ".new")
        args = ("init", "--quiet", "--bare", "--initial-branch=master", str(fresh))
        await anyio.to_thread.run_sync(lambda: _run(*args))
        fresh.rename(git_dir)


async def head(git_dir: Path) -> str | None:
    """The commit of the deployed branch; None for an empty repository."""

    def look() -> str | None:
        try:
            return _run("--git-dir", str(git_dir), "rev-parse", "--verify", "--quiet", f"{BRANCH}^{{commit}}")
        except UnavailableError:
            return None

    return await anyio.to_thread.run_sync(look)


async def checkout(git_dir: Path, commit: str, into: Path, *, limit_bytes: int) -> None:
    """Write the files of `commit` to the fresh directory `into`, without `.git`.

    Raises InvalidError for an unknown commit, ExhaustedError when the tree is larger than `limit_bytes`.
    """

    def work() -> None:
        repository = ("--git-dir", str(git_dir))
        try:
            _run(*repository, "cat-file", "-e", f"{commit}^{{commit}}")
        except UnavailableError as cause:
            raise InvalidError(f"commit {commit} is not in this app's repository; push it first") from cause
        sizes = _run(*repository, "ls-tree", "-r", "-l", "--full-tree", commit).splitlines()
        total = sum(int(line.split()[3]) for line in sizes if line.split()[3].isdigit())
        if total > limit_bytes:
            raise ExhaustedError(f"the files of this commit take {total} bytes, more than the {limit_bytes} allowed")
        into.mkdir(parents=True)
        index = {"GIT_INDEX_FILE": str(into.with_name(into.name + ".index"))}
        _run(*repository, "read-tree", commit, extra=index)
        _run(*repository, "--work-tree", str(into), "checkout-index", "--all", "--force", extra=index)
        os.unlink(index["GIT_INDEX_FILE"])

    await anyio.to_thread.run_sync(work)


def size_bytes(git_dir: Path) -> int:
    """What the repository takes on disk."""
    total = 0
    for folder, _, files in os.walk(git_dir):
        for each in files:
            try:
                total += os.lstat(os.path.join(folder, each)).st_size
            except FileNotFoundError:
                continue
    return total
