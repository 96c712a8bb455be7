"""Toolchains from the npm registry: Bun, mise."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path

from havre.base.errors import UnavailableError
from havre.drivers.toolchains.node import node_home
from havre.drivers.toolchains.place import put, scratch

BUN_VERSION = "1.4.5"
MISE_VERSION = "2026.9.15"
FETCH_S = 600


def bun(root: Path, environment: Mapping[str, str]) -> Path:
    place = root / f"bun-{BUN_VERSION}"
    if not (place / "bin" / "bun").exists():
        variant = "" if machine() != "x64" or "avx2" in Path("/proc/cpuinfo").read_text() else "-baseline"
        with scratch(root) as folder:
            fresh = _fetch(f"@oven/bun-linux-{machine()}{variant}@{BUN_VERSION}", folder, environment)
            (fresh / "bin" / "bunx").symlink_to("bun")
            put(fresh, place)
    return place


def mise(root: Path, environment: Mapping[str, str]) -> Path:
    """mise, which runs the tasks of a mise.toml; the tools that one names it fetches from where they are published."""
    place = root / f"mise-{MISE_VERSION}"
    if not place.exists():
        with scratch(root) as folder:
            put(_fetch(f"@jdxcode/mise-linux-{machine(arm='arm64')}@{MISE_VERSION}", folder, environment), place)
    return place


def machine(*, arm: str = "aarch64") -> str:
    """This machine as npm's packages call it."""
    return {"x86_64": "x64", "aarch64": arm}.get(platform.machine(), platform.machine())


def _fetch(package: str, folder: Path, environment: Mapping[str, str]) -> Path:
    """Unpack one npm package, without its scripts, in `folder`. Raises UnavailableError with what npm said."""
    home = node_home()
    npm = [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    command = [*npm, "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", "--no-save"]
    env = {name: value for name, value in environment.items() if name != "NODE_OPTIONS"}
    try:
        done = subprocess.run([*command, package], capture_output=True, text=True, timeout=FETCH_S, env=env, cwd=folder)
    except (OSError, subprocess.TimeoutExpired) as cause:
        raise UnavailableError(f"{package} could not be fetched from the npm registry") from cause
    if done.returncode != 0:
        raise UnavailableError(f"{package} could not be fetched: {done.stderr.strip()[-300:]}")
    return folder / "node_modules" / package.rpartition("@")[0]
