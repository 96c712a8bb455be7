"""What is known of units on the disk, in `<units>/<id>/`, and in the pages of their monitors.

`spec.json` before anything runs, `handle.json` (which process is the monitor), `exit.json` when it has ended. A new
control plane reads these and is where the old one was. Nothing here wakes a monitor. That a unit has been started and
how it ended outlives the machine's power; which process it was means nothing afterwards, and is not waited for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from havre.base.ids import UnitId
from havre.drivers import identity
from havre.drivers.bwrap import page
from havre.drivers.bwrap.model import Exit, Unit
from havre.drivers.disk.whole import write_whole


class Records:
    """The units of one installation. What never changes is read once."""

    def __init__(self, units: Path, run: Path, *, now: Callable[[], int]) -> None:
        self._units = units
        self._run = run
        self._now = now
        self._specs: dict[str, dict[str, Any]] = {}
        self._identities: dict[str, identity.Identity] = {}

    def folder(self, id: str) -> Path:
        return self._units / id

    def control(self, id: str) -> Path:
        return self._run / "units" / f"{id[:18]}.ctl"

    def page(self, id: str) -> Path:
        return self._run / "units" / f"{id[:18]}.page"

    def ids(self) -> list[str]:
        try:
            return sorted(each.name for each in os.scandir(self._units) if each.is_dir())
        except FileNotFoundError:
            return []

    def spec(self, id: str) -> dict[str, Any] | None:
        if id not in self._specs:
            found = read(self.folder(id) / "spec.json")
            if found is None:
                return None
            self._specs[id] = found
        return self._specs[id]

    def identity(self, id: str) -> identity.Identity | None:
        """Which process is the unit's monitor; None before it has said so."""
        if id not in self._identities:
            handle = read(self.folder(id) / "handle.json")
            if handle is None:
                return None
            self._identities[id] = identity.Identity(handle["pid"], handle["start_time"], handle["boot_id"])
        return self._identities[id]

    def is_alive(self, id: str) -> bool:
        known = self.identity(id)
        return known is not None and identity.is_alive(known)

    def exit(self, id: str) -> Exit | None:
        found = read(self.folder(id) / "exit.json")
        return Exit(**found) if found else None

    def unit(self, id: str) -> Unit | None:
        """The unit as it is now; None when there is no record of it."""
        spec = self.spec(id)
        if spec is None:
            return None
        alive = self.is_alive(id)
        ended = self.exit(id)  # after the look at the process: an end is written before the monitor goes
        known = self.identity(id)
        common: dict[str, Any] = {"id": UnitId(id), "kind": spec["kind"], "labels": spec["labels"]}
        common |= {"started_at": spec["started_at"], "pid": known.pid if known else None}
        if ended is None and not alive:
            ended = Exit(code=None, signal=None, oom=False, at=self._now())
        if ended is not None:
            return Unit(**common, state="exited", exit=ended)
        seen = self._page(id)
        if seen is None:
            return Unit(**common, state="starting")
        flags, in_flight, accepted, answered, refused, peers, lost, slowed, connections = seen
        return Unit(
            **common,
            state="running",
            accepting=bool(flags & page.ACCEPTING),
            is_beset=bool(flags & page.BESET),
            is_out=bool(flags & page.OUT),
            in_flight=in_flight,
            connections=connections,
            accepted=accepted,
            answered=answered,
            refused=refused,
            peers=peers,
            lost_bytes=lost,
            slowed=slowed,
        )

    def _page(self, id: str) -> tuple[int, ...] | None:
        try:
            content = self.page(id).read_bytes()
        except OSError:
            return None
        if len(content) == page.FIRST_SIZE:
            content += content[page.IN_FLIGHT : page.IN_FLIGHT + 8]
        seen: tuple[int, ...] | None = page.LAYOUT.unpack(content) if len(content) == page.SIZE else None
        return seen if seen is not None and seen[0] & page.LIVE else None

    def units(self) -> tuple[Unit, ...]:
        found = [self.unit(id) for id in self.ids()]
        return tuple(sorted((each for each in found if each is not None), key=lambda each: (each.started_at, each.id)))

    def forget(self, id: str) -> None:
        self._specs.pop(id, None)
        self._identities.pop(id, None)
        for path in (self.control(id), self.page(id)):
            path.unlink(missing_ok=True)


def read(file: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return found


def write(file: Path, content: dict[str, Any]) -> None:
    """Seen by everybody from now on, whole or not at all; see `keep`."""
    write_whole(file, json.dumps(content))


def keep(file: Path) -> None:
    """Return when `file` is on the disk for good."""
    for each in (file, file.parent):
        fd = os.open(each, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
