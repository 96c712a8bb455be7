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
    """What a unit may use. `cpus` is a share of processors; when all want one, `weight` says who gets how much."""

    memory_bytes: int
    cpus: float
    pids: int = 512
    weight: int = 100


@dataclass(frozen=True, slots=True)
class Tree:
    """A directory on the disk that a unit writes: the most that may be below it. `name` is for people."""

    name: str
    path: Path
    most_bytes: int
    most_files: int


@dataclass(frozen=True, slots=True)
class Quota:
    """What a unit may write to the disk: each tree within its bounds, and `reserve` left free for everybody else.
    A unit that goes past it is killed; the bounds are passed by what it writes in about half a second."""

    trees: tuple[Tree, ...]
    reserve_bytes: int = 0
    reserve_files: int = 0


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
    handed: the unix socket through which connections come as descriptors, for `handed_port`; else as `listen`.
    door: a symlink that stands while the unit accepts, to a socket of this unit alone, for `port`.
    overlays: directories shown as they are; what is written there is kept in memory and gone with the unit. One that
    is shown at `/` is the unit's whole root: an image.
    tree: a stack, whose /usr, /etc and /var the unit sees; None: the host's /usr and an /etc of our own.
    users: the unit has users of its own instead of one. nests: as their root it may make namespaces and mounts, for
    programs that build images.
    deadline_s: the unit is killed when it has run so long; None: never.
    scratch_bytes, scratch_files: bounds of all that the unit writes in memory: /tmp, /run, home and overlays together.
    quota: bounds of what it writes to the disk through writable binds.
    logs: further files of output, which `argv` has open for writing as descriptors 3, 4 and so on.
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
    handed: Path | None = None
    handed_port: int = 4040
    door: Path | None = None
    deadline_s: float | None = None
    scratch_bytes: int = 512 * 1024**2
    scratch_files: int = 65_536
    quota: Quota | None = None
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
    quota: str = ""  # which bound on the disk it went past

    @property
    def is_success(self) -> bool:
        return self.code == 0 and not self.quota

    @property
    def was_seen(self) -> bool:
        """Whether somebody was there when it ended; else it went with its monitor or its machine."""
        return self.code is not None or self.signal is not None or self.oom

    @property
    def is_stopped(self) -> bool:
        """Whether one of its bounds was the end of it."""
        return self.oom or self.deadline or bool(self.quota)

    def __str__(self) -> str:
        if self.quota:
            return self.quota
        if self.oom:
            return "out of memory"
        if self.deadline:
            return "took too long"
        if self.signal is not None:
            return f"killed by signal {self.signal}"
        return "ended without a status" if self.code is None else f"exit code {self.code}"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as it is seen now. Requests are counted since it started; `answered`: the app has begun to answer.

    in_flight: requests that are being answered. connections: the open ones, with those that the edge only keeps.
    peers: how many other units it was told to share the socket with. lost_bytes: of output, on a full disk.
    slowed: how often its output was faster than it may be. is_beset: it has all the connections that it may have.
    is_out: it has all that it may have to the outside, where these go through the proxy.
    """

    id: UnitId
    kind: Kind
    labels: Mapping[str, str]
    state: Literal["starting", "running", "exited"]
    started_at: int
    pid: int | None = None
    exit: Exit | None = None
    accepting: bool = False
    in_flight: int = 0
    connections: int = 0
    accepted: int = 0
    answered: int = 0
    refused: int = 0
    peers: int = 0
    lost_bytes: int = 0
    slowed: int = 0
    is_beset: bool = False
    is_out: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What a unit has used, as its control groups tell; None: this machine does not count it.

    cpu_ms: processor time since it started. memory_bytes: without what the kernel would give back at once.
    """

    cpu_ms: float | None
    memory_bytes: int | None
    oom_kills: int = 0
