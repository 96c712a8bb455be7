"""Language toolchains beside the root: found in the installed wheels or fetched from a package index by version.

A toolchain is a directory with `bin/`, shown read-only in sandboxes at `/opt/havre/<name>`. Fetching is atomic: a
directory appears whole or not at all, whoever is interrupted. `name@version` asks for a version other than ours; kits
are files of our own. One file for each kind of index: `npm`, `wheels` (with `node` and `go`), `maven`; `trust` makes
Java's list of authorities, `oauth2_proxy` a program out of a Go module.
"""

from __future__ import annotations

import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from havre.base.errors import UnavailableError
from havre.drivers.toolchains import go, kits, maven, node, npm, oauth2_proxy, trust, wheels
from havre.drivers.toolchains.go import GO_VERSION
from havre.drivers.toolchains.maven import Repository
from havre.drivers.toolchains.node import NODE_VERSIONS, node_home, node_version
from havre.drivers.toolchains.npm import BUN_VERSION, MISE_VERSION
from havre.drivers.toolchains.oauth2_proxy import OAUTH2_PROXY_VERSION
from havre.drivers.toolchains.place import collect, touch, use
from havre.drivers.toolchains.wheels import JAVA_VERSIONS

__all__ = [
    "BUN_VERSION", "GO_VERSION", "JAVA_VERSIONS", "MISE_VERSION", "NODE_VERSIONS", "OAUTH2_PROXY_VERSION", "PINNED",
    "Repository", "Toolchain", "Toolchains", "node_home", "node_version", "prepare_all",
]  # fmt: skip

# the versions that are ours to choose
PINNED = (
    f"bun {BUN_VERSION}", f"go {GO_VERSION}", *(f"jre {each}" for each in JAVA_VERSIONS.values()),
    f"maven {maven.MAVEN.version}", f"sbt {maven.SBT.version}",
    *(f"tomcat {each.version}" for each in maven.TOMCATS.values()),
    f"oauth2-proxy {OAUTH2_PROXY_VERSION}", f"mise {MISE_VERSION}",
)  # fmt: skip
_VERSION = re.compile(r"(>=)?\d+(\.\d+){0,3}")


@dataclass(frozen=True, slots=True)
class Toolchain:
    """`source` on the host is shown at `target`; `bin` is what goes on the PATH inside, if anything."""

    name: str
    version: str
    source: Path
    target: str
    bin: str


class Toolchains:
    """The toolchains of one installation, below `root`.

    environment: what the host's package tools are told. repository: where Maven's artifacts are, and who signs for
    the package indexes.
    """

    def __init__(self, root: Path, environment: Mapping[str, str], repository: Repository | None = None) -> None:
        self._root = root
        self._environment = dict(environment)
        self._repository = repository or Repository()
        self._locks: dict[str, anyio.Lock] = defaultdict(anyio.Lock)  # one for each kind: some take minutes
        self._collecting = anyio.Lock()
        self._busy = 0

    async def ensure(self, name: str, *, for_build: bool = False) -> Toolchain:
        """The toolchain `name`, fetched if need be.

        Names: node, bun, uv, caddy, maven, sbt, go, mise, oauth2-proxy, jre@<major>, tomcat@<major>, a kit;
        node@<version>, go@<version> and go@>=<version>; trust, the authorities for Java, which for a build are those
        of the indexes.
        Raises InvalidError for a version that no index has, UnavailableError with what the package client said.
        """
        async with self._collecting:
            self._busy += 1
        try:
            async with self._locks[name.partition("@")[0]]:
                return await anyio.to_thread.run_sync(lambda: self.ensure_now(name, for_build=for_build))
        finally:
            self._busy -= 1

    def ensure_now(self, name: str, *, for_build: bool = False) -> Toolchain:
        """As `ensure`, blocking."""
        found = self._find(name, for_build=for_build)
        if found.source.parent == self._root:
            use(self._root, f"{name}.build" if for_build else name, found.source)
        return found

    async def collect(self, needed: Iterable[str], *, idle_s: float) -> tuple[str, ...]:
        """Remove the toolchains that were not used for `idle_s`, but ours of today and those `needed`.

        None while one is being looked for: there is a next time.
        """
        names = tuple(needed)

        def work() -> tuple[str, ...]:
            for name in names:
                touch(self._root, name)
            return collect(self._root, idle_s=idle_s, kept=self._usual())

        async with self._collecting:
            return () if self._busy else await anyio.to_thread.run_sync(work)

    def _usual(self) -> tuple[str, ...]:
        """What `make setup` fetches."""
        return (f"node-{node_version()}", f"bun-{BUN_VERSION}")

    def _find(self, name: str, *, for_build: bool) -> Toolchain:
        kind, _, asked = name.partition("@")
        if asked and not _VERSION.fullmatch(asked):
            raise UnavailableError(f"there is no toolchain {name}")
        if kind in ("uv", "caddy") and not asked:
            return _installed(kind)
        if kind == "trust" and not asked:
            place = trust.trust_store(
                self._root, (self._repository.authorities if for_build else None) or trust.HOST_CA
            )
            return Toolchain("trust", place.name, place, trust.TARGET, "")
        if kits.is_kit(kind) and not asked:
            place = kits.kit(self._root, kind)
            return _shown(kind, place.name.rpartition("-")[2], place)
        if kind == "oauth2-proxy" and not asked and (program := oauth2_proxy.of_the_host(self._environment)):
            return _program(kind, program)
        found = self._fetched(kind, asked)
        if found is None:
            raise UnavailableError(f"there is no toolchain {name}")
        return _shown(kind, *found)

    def _fetched(self, kind: str, asked: str) -> tuple[str, Path] | None:
        """Version and place of a toolchain that comes from an index."""
        if kind == "node":
            version = asked or node_version()
            return version, node.node(self._root, version, self._environment)
        if kind == "go":
            place = go.go(self._root, asked, self._environment)
            return go.go_version(place), place
        if kind == "jre":
            return wheels.java(self._root, asked, self._environment)
        if kind == "tomcat":
            return maven.tomcat(self._root, asked, self._repository)
        if asked:
            return None
        if kind == "oauth2-proxy":
            return OAUTH2_PROXY_VERSION, oauth2_proxy.oauth2_proxy(self._root, self._environment)
        if kind == "mise":
            return MISE_VERSION, npm.mise(self._root, self._environment)
        if kind == "bun":
            return BUN_VERSION, npm.bun(self._root, self._environment)
        if kind == "maven":
            return maven.MAVEN.version, maven.maven(self._root, self._repository)
        return (maven.SBT.version, maven.sbt(self._root, self._repository)) if kind == "sbt" else None


def _shown(name: str, version: str, place: Path) -> Toolchain:
    return Toolchain(name, version, place, f"/opt/havre/{name}", f"/opt/havre/{name}/bin")


def _installed(name: str) -> Toolchain:
    """A single program of the environment that Havre itself is installed in."""
    program = Path(sys.prefix) / "bin" / name
    if not program.exists():
        raise UnavailableError(f"{name} is not installed beside Havre; run make setup")
    return _program(name, program)


def _program(name: str, program: Path) -> Toolchain:
    return Toolchain(name, "", program, f"/opt/havre/{name}/bin/{name}", f"/opt/havre/{name}/bin")


def prepare_all(root: Path) -> list[Toolchain]:
    """Fetch what the embedded runtimes need; for `make setup`."""
    toolchains = Toolchains(root, dict(os.environ))  # noqa: TID251 - the setup program's own environment
    return [toolchains.ensure_now(name) for name in ("node", "bun", "uv", "caddy")]
