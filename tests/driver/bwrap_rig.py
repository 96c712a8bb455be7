"""Units on a real engine, in folders of their own."""

from __future__ import annotations

import ipaddress
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import anyio

from havre.base.ids import UnitId
from havre.drivers.bwrap import Bind, Bubblewrap, Exit, Limits, UnitSpec

CADDY = Path(sys.prefix) / "bin" / "caddy"
NETWORK = ipaddress.IPv4Network("10.214.0.0/16")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class Rig:
    base: Path
    started: list[UnitId] = field(default_factory=list)
    engines: list[Bubblewrap] = field(default_factory=list)

    def engine(self) -> Bubblewrap:
        """A new look at the same directories, as a restarted control plane has."""
        made = Bubblewrap(units=self.base / "units", run=self.base / "run", now=now_ms, network=NETWORK)
        self.engines.append(made)
        return made

    def spec(self, *argv: str, **changes: object) -> UnitSpec:
        id = UnitId(str(uuid4()))
        self.started.append(id)
        values: dict[str, object] = {
            "id": id, "kind": "instance", "argv": argv, "env": {"PATH": "/usr/bin:/bin"}, "cwd": "/",
            "limits": Limits(256 * 1024**2, 1.0), "log": self.base / f"{id}.log",
            "binds": (Bind(CADDY, "/opt/caddy"),), "uid": 250_000 if os.getuid() == 0 else None,
            "listen": self.base / "run" / "app.sock",
        }  # fmt: skip
        return UnitSpec(**(values | changes))  # type: ignore[arg-type]

    async def run(self, *argv: str, **changes: object) -> tuple[Exit, str]:
        """Start a unit, wait for its end, and return what it said."""
        spec = self.spec(*argv, **changes)
        engine = self.engine()
        await engine.start(spec)
        with anyio.fail_after(60):
            ended = await engine.wait(spec.id)
        return ended, spec.log.read_text()

    async def bash(self, script: str, **changes: object) -> tuple[Exit, str]:
        return await self.run("/bin/bash", "-c", script, **changes)


@asynccontextmanager
async def opened() -> AsyncIterator[Rig]:
    """The folders and, in the end, nothing: neither a unit nor what serves all of them."""
    base = Path(tempfile.mkdtemp(prefix="hvd ", dir="/tmp"))
    made = Rig(base)
    (base / "units").mkdir()
    (base / "run").mkdir()
    try:
        yield made
    finally:
        engine = made.engine()
        for id in made.started:
            await engine.stop(id, grace_s=0)
            await engine.forget(id)
        for each in made.engines:
            each.stop_helpers()
        shutil.rmtree(base, ignore_errors=True)
