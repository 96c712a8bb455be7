"""Units: sandboxed processes that live on without the control plane.

`Units` is the engine's contract. Start is asynchronous, `dial` reaches a port without assuming how, logs and exit
status go to files, and one unit may own several host processes, so that another engine can stand here.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Protocol

from anyio.abc import ByteStream

from havre.base.errors import InvalidError
from havre.base.ids import UnitId
from havre.drivers.bwrap import (
    Bind,
    Bubblewrap,
    Exit,
    Limits,
    Quota,
    Root,
    Shell,
    Strain,
    Terminal,
    Tree,
    Unit,
    UnitSpec,
    Usage,
    Users,
)
from havre.kernel.clock import Clock
from havre.kernel.config import Config, Paths

__all__ = [
    "Bind", "Exit", "Limits", "Quota", "Root", "Shell", "Strain", "Terminal", "Tree", "Unit", "UnitSpec", "Units",
    "Usage", "Users", "open_units",
]  # fmt: skip


class Units(Protocol):
    """Every method may raise UnavailableError; one that names an id says nothing about others."""

    async def start(self, spec: UnitSpec) -> Unit: ...

    async def seen(self) -> tuple[Unit, ...]: ...

    async def get(self, id: UnitId) -> Unit | None: ...

    async def wait(self, id: UnitId) -> Exit: ...

    async def usage(self, id: UnitId) -> Usage: ...

    async def strain(self, id: UnitId) -> Strain: ...

    async def accept(self, id: UnitId, *, peers: int = 0) -> None: ...

    async def quiesce(self, id: UnitId) -> None: ...

    async def connections(self, id: UnitId) -> int: ...

    async def dial(self, id: UnitId, port: int) -> ByteStream:
        """A stream to `port` inside; 0: to the port that the unit is reached at."""
        ...

    async def stop(self, id: UnitId, *, grace_s: float) -> Exit: ...

    async def forget(self, id: UnitId) -> None: ...

    async def open_shell(self, id: UnitId, *, terminal: Terminal | None) -> Shell: ...

    async def hold(self, path: Path) -> object: ...

    def waiting(self, path: Path) -> int: ...

    async def wait_called(self, path: Path) -> None: ...

    def close_listener(self, path: Path) -> None: ...

    def stop_helpers(self) -> None: ...

    def keep_way_out(self) -> None: ...


def open_units(config: Config, paths: Paths, *, clock: Clock) -> Units:
    """The engine of this installation."""
    try:
        network = ipaddress.IPv4Network(config.apps.sandbox_network)
    except ValueError as cause:
        raise InvalidError(f"apps.sandbox_network = {config.apps.sandbox_network!r} is not an IPv4 prefix") from cause
    return Bubblewrap(units=paths.units, run=paths.run, now=clock.now, network=network)
