"""The driver of the gate of TCP redirections: what it is started as, and what it says it listens on."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from havre.base.errors import UnavailableError
from havre.drivers.keeper import Program

NAME = "tcpgate"
ANSWER_S = 10.0


@dataclass(frozen=True)
class Seen:
    """The ports that the gate listens on, and those where it could not, with the reason."""

    listening: frozenset[int]
    failed: dict[int, str]


@dataclass(frozen=True)
class Gate:
    """The gate of one installation. `folder` has a symlink for each port; hosts: addresses, empty for all."""

    folder: Path
    control: Path
    hosts: Sequence[str]

    def program(self, *, output: Path) -> Program:
        file = Path(__file__).with_name("gate.py")
        argv = (sys.executable, "-I", "-S", str(file), str(self.folder), str(self.control), *self.hosts)
        return Program(NAME, argv, Path("/"), output)

    async def look(self) -> Seen:
        """Have the gate look at the folder again, and be told what it listens on. Raises UnavailableError."""
        try:
            with anyio.fail_after(ANSWER_S):
                async with await anyio.connect_unix(str(self.control)) as stream:
                    said = b""
                    while not said.endswith(b"\n"):
                        said += await stream.receive()
        except (OSError, TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError) as cause:
            raise UnavailableError("the gate of TCP redirections does not answer", control=str(self.control)) from cause
        told = json.loads(said)
        return Seen(frozenset(told["listening"]), {int(port): why for port, why in told["failed"].items()})
