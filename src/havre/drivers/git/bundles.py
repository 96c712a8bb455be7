"""A repository as one file and back: every commit that a branch or its history (reflog) still names.

What a forced push left behind may be what an app serves, so the reflogs come along.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from havre.base.errors import ExhaustedError, UnavailableError
from havre.drivers.git.repository import environment

LIMIT_S = 1800.0


def write_bundle(git_dir: Path, into: Path) -> bool:
    """Write the bare repository's commits to the file `into`; False when it has none.

    Raises ExhaustedError on a full disk, UnavailableError with git's words.
    """
    if not _run("--git-dir", str(git_dir), "for-each-ref", "--count=1").strip():
        return False
    _run("--git-dir", str(git_dir), "bundle", "create", "--quiet", str(into), "--all", "--reflog")
    return True


def read_bundle(file: Path, git_dir: Path) -> None:
    """Make the bare repository `git_dir`, which must not exist, of a bundle. Raises as `write_bundle`."""
    git_dir.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _run("init", "--quiet", "--bare", "--template=", "--initial-branch=master", str(git_dir))
    at = ("--git-dir", str(git_dir))
    for line in _run(*at, "bundle", "unbundle", str(file)).splitlines():
        commit, _, ref = line.partition(" ")
        if ref != "HEAD":
            _run(*at, "update-ref", ref, commit)


def _run(*args: str) -> str:
    settings = {"core.logAllRefUpdates": "false"}
    try:
        done = subprocess.run(
            ["git", *args], capture_output=True, env=environment(settings=settings), cwd="/", timeout=LIMIT_S
        )
    except FileNotFoundError as cause:
        raise UnavailableError("git is not installed on this machine") from cause
    except subprocess.TimeoutExpired as cause:
        raise UnavailableError("git did not answer in time", command=args) from cause
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()[-300:]
        if "No space left" in words:
            raise ExhaustedError("the disk is full")
        raise UnavailableError(f"git could not read or write a repository: {words}", program="git", args=args)
    return done.stdout.decode(errors="replace")
