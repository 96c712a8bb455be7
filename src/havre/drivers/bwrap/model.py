"""The nouns of a unit: what to start, within which limits, and what is seen of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from havre.base.ids import UnitId

Kind = Literal["instance", "build"]


@dataclass(frozen=True, slots=True)
class Bind:
    """A host directory or file shown at `target` inside."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What a unit may use. `cpus` is a share of processors; `shared` units yield to the others."""

    memory_bytes: int
    cpus: float
    pids: int = 512
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Root:
    """What a unit sees as `/`: host paths shown read-only, links, and a directory that becomes `/etc`."""

    binds: tuple[Bind, ...]
    links: tuple[tuple[str, str], ...]  # (text of the link, where it stands)


@dataclass(frozen=True, slots=True)
class Users:
    """A range of the host's user ids that is the unit's alone: `first` is root inside, and who it starts as.

    Only for a control plane that is root.
    """

    first: int
    count: int = 65_536


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """A unit to start. `log` is a regular file that receives stdout and stderr as they are written.

    uid: the host user that the sandbox runs as when we are root; None: we are an ordinary user.
    listen: the unix socket whose connections the forwarder hands to `port` once it is told to accept.
    overlays: directories shown as they are; what is written there is kept in memory and gone with the unit. One that
    is shown at `/` is the unit's whole root: an image.
    tree: a stack, whose /usr, /etc and /var the unit sees; None: the host's /usr and an /etc of our own.
    users: the unit has users of its own instead of one. nests: as their root it may make namespaces and mounts, for
    programs that build images.
    deadline_s: the unit is killed when it has run so long; None: never.
    logs: further files of output, which `argv` has open for appending as descriptors 3, 4 and so on.
    """

    id: UnitId
    kind: Kind
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    limits: Limits
    log: Path
    labels: Mapping[str, str] = field(default_factory=dict)
    binds: tuple[Bind, ...] = ()
    overlays: tuple[Bind, ...] = ()
    uid: int | None = None
    way_out: bool = True
    listen: Path | None = None
    port: int = 8080
    deadline_s: float | None = None
    scratch_bytes: int = 512 * 1024**2
    tree: Path | None = None
    logs: tuple[Path, ...] = ()
    users: Users | None = None
    nests: bool = False

    @property
    def image(self) -> Path | None:
        return next((each.source for each in self.overlays if each.target == "/"), None)


@dataclass(frozen=True, slots=True)
class Exit:
    """How a unit ended. `code` is None when nobody saw it (its monitor was killed, or the machine was)."""

    code: int | None
    signal: int | None
    oom: bool
    at: int
    deadline: bool = False

    @property
    def is_success(self) -> bool:
        return self.code == 0

    def __str__(self) -> str:
        if self.oom:
            return "out of memory"
        if self.deadline:
            return "took too long"
        if self.signal is not None:
            return f"killed by signal {self.signal}"
        return "ended without a status" if self.code is None else f"exit code {self.code}"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as it is seen now."""

    id: UnitId
    kind: Kind
    labels: Mapping[str, str]
    state: Literal["starting", "running", "exited"]
    started_at: int
    pid: int | None = None
    exit: Exit | None = None
    accepting: bool = False
    in_flight: int = 0
