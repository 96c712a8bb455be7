"""Keeps the probers of migrations running, from what their intents say: one at each end, for each migration.

They end with us (`setpriv --pdeathsig`), whatever ends us: a control plane that starts again starts them again, and a
gate that was under way begins anew. Both ends begin together, so that their numbers mean the same.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from havre.network.model import FAMILIES, Observers
from havre.network.probes import prober

log = structlog.get_logger()
STREAMS = "streams"  # the folder of the probers, in the room's own
PROBE = Path(prober.__file__)
AHEAD = ("nice", "-n", "-20")  # of others, where we may: what is measured is the network
WAYS = {"inside": ("in", "out"), "outside": ("out", "in")}  # of each end: what comes to it, what it sends


def argv(folder: Path, name: str, observers: Observers) -> list[str]:
    """The prober of one end, in its namespace. Both ends have to be named."""
    assert observers.inside is not None and observers.outside is not None
    ends = {"inside": observers.inside, "outside": observers.outside}
    here, there = ends.pop(name), next(iter(ends.values()))
    pairs = [str(each.address(family)) for family in FAMILIES for each in (here, there)]
    inside = ["ip", "netns", "exec", here.namespace] if here.namespace else []
    return [*inside, sys.executable, "-I", "-S", str(PROBE), "stream", str(folder), name, *WAYS[name], *pairs]


@dataclass
class Keeper:
    """folder: in which each migration has its streams."""

    folder: Path
    _running: dict[str, list[subprocess.Popen[bytes]]] = field(default_factory=dict)
    _told: dict[str, Observers] = field(default_factory=dict)

    def keep(self, wanted: Mapping[str, Observers]) -> None:
        """Bring what runs to what is wanted: by migration its observers. One that names no probers has none."""
        wanted = {id: each for id, each in wanted.items() if each.inside is not None and each.outside is not None}
        for id in [*self._running]:
            has_ended = any(each.poll() is not None for each in self._running[id])
            if has_ended or wanted.get(id) != self._told[id]:
                self._stop(id, why="ended" if has_ended else "not wanted any more")
        for id, observers in wanted.items():
            if id not in self._running:
                self._start(id, observers)

    def end(self) -> None:
        for id in [*self._running]:
            self._stop(id, why="the room ends")

    def _start(self, id: str, observers: Observers) -> None:
        folder = self.folder / id
        folder.mkdir(parents=True, exist_ok=True)
        self._running[id], self._told[id] = [], observers
        for name in WAYS:
            command = [*AHEAD, "setpriv", "--pdeathsig", "KILL", *argv(folder, name, observers)]
            with open(folder / f"{name}.log", "wb") as out:
                started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            self._running[id].append(started)
        log.info("network.probers.started", migration=id, pids=[each.pid for each in self._running[id]])

    def _stop(self, id: str, *, why: str) -> None:
        words = [each.read_text(errors="replace")[-300:].strip() for each in sorted((self.folder / id).glob("*.log"))]
        log.info("network.probers.stopped", migration=id, why=why, words="; ".join(filter(None, words)))
        del self._told[id]
        for each in self._running.pop(id):
            each.kill()
            each.wait(10)
        shutil.rmtree(self.folder / id, ignore_errors=True)  # who reads there goes on with what it has open
