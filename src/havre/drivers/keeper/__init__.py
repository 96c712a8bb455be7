"""The driver of the keeper: a small process that keeps the edge's programs alive while the control plane is down.

`Keeper.ensure` makes the programs that run those that are told: what is equal is adopted untouched, what differs is
ended and started anew. `stop` ends all. The process itself is `keeper.py`; its page is README.md.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from havre.base.errors import UnavailableError
from havre.drivers.disk.whole import write_whole
from havre.drivers.identity import Identity, is_alive
from havre.drivers.keeper import process
from havre.drivers.keeper.process import Record

__all__ = ["FIRST_FD", "Door", "Identity", "Keeper", "Program", "Record", "process"]
FIRST_FD = 3
READY_S = 10.0
GRACE_S = 5.0  # between SIGTERM and SIGKILL of a program that is replaced


@dataclass(frozen=True, slots=True)
class Door:
    """A listening socket that the keeper holds. host: an address, or empty for every address of the machine."""

    kind: Literal["tcp", "udp"]
    host: str
    port: int


@dataclass(frozen=True)
class Program:
    """What is kept: `argv` with `env` and nothing else; its doors are its descriptors 3, 4, … in their order.

    nice: its place in the queue for the processor, -20 (first) to 19, where we may say so. is_batch: when it wakes it
    lets who runs go on to the end of a turn, and has more to do at a time (SCHED_BATCH, sched(7)).
    """

    name: str
    argv: tuple[str, ...]
    cwd: Path
    output: Path
    env: Mapping[str, str] = field(default_factory=dict)
    doors: tuple[Door, ...] = ()
    nice: int = 0
    is_batch: bool = False

    @property
    def digest(self) -> str:
        """What it is made of; a program that runs with another is another program."""
        doors = [(each.kind, each.host, each.port) for each in self.doors]
        told = [self.argv, sorted(self.env.items()), doors, *([self.nice] if self.nice else [])]
        told += ["batch"] if self.is_batch else []
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def told(self) -> dict[str, Any]:
        doors = [{"kind": each.kind, "host": each.host, "port": each.port} for each in self.doors]
        told = {"name": self.name, "argv": self.argv, "env": dict(self.env), "cwd": str(self.cwd), "nice": self.nice}
        return told | {"is_batch": self.is_batch, "output": str(self.output), "doors": doors, "digest": self.digest}


@dataclass(frozen=True)
class Keeper:
    """The keeper of one folder, in which its records are."""

    folder: Path

    def ensure(self, programs: Sequence[Program]) -> bool:
        """Have a keeper at work on exactly `programs`; whether one had to be started. Blocks, bounded.

        Raises UnavailableError when it does not come to work.
        """
        process.collect()
        with open(self.folder / "ensure.lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return self._ensure(programs)

    def _ensure(self, programs: Sequence[Program]) -> bool:
        told = json.dumps({"programs": [each.told() for each in programs]}, sort_keys=True)
        digest = hashlib.sha256(told.encode()).hexdigest()
        known = self.running()
        if known is not None:
            process.wake(known.identity)
        if known is not None and known.digest == digest:
            return False
        content = json.dumps(json.loads(told) | {"digest": digest})
        if known is not None:
            write_whole(self.folder / "keeper.json", content + "\n", mode=0o600, sync=True)
            self._tell(known.identity, digest)
            return True
        wanted = {each.name: each.digest for each in programs}
        for name in {*wanted, *self._names()}:
            record = self.record(name)
            if record is not None and record.digest != wanted.get(name):
                process.end(record.identity, grace_s=GRACE_S)
        write_whole(self.folder / "keeper.json", content + "\n", mode=0o600, sync=True)
        self._start(digest)
        return True

    def _tell(self, keeper: Identity, digest: str) -> None:
        """Have the keeper read again. It may have to end a program first, and that takes its time."""
        with process.held(keeper) as fd:
            if fd is not None:
                signal.pidfd_send_signal(fd, signal.SIGHUP)
        self._wait(keeper, digest, limit_s=READY_S + 2 * GRACE_S)

    def _start(self, digest: str) -> None:
        program = Path(__file__).with_name("keeper.py")
        output = self.folder / "keeper.out"
        command = [sys.executable, "-I", "-S", str(program), str(self.folder)]
        started = process.spawn(command, cwd=Path("/"), output=output)
        self._wait(started, digest, limit_s=READY_S)

    def _wait(self, keeper: Identity, digest: str, *, limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while is_alive(keeper) and time.monotonic() < deadline:
            if process.read_record(self.folder / "keeper.pid") == Record(keeper, digest):
                return
            time.sleep(0.005)
        words = process.tail(self.folder / "keeper.out")
        raise UnavailableError("the keeper of the edge did not do what it was told", output=words)

    def running(self) -> Record | None:
        """The keeper that lives, if one does."""
        return self._living(self.folder / "keeper.pid")

    def record(self, name: str) -> Record | None:
        """The program that lives, if it does."""
        return self._living(self.folder / f"{name}.json")

    def _living(self, file: Path) -> Record | None:
        record = process.read_record(file)
        return record if record is not None and is_alive(record.identity) else None

    def _names(self) -> list[str]:
        """The programs that the last keeper was told of."""
        try:
            return [each["name"] for each in json.loads((self.folder / "keeper.json").read_text())["programs"]]
        except (OSError, ValueError, KeyError):
            return []

    def stop(self, *, grace_s: float = GRACE_S) -> None:
        """End the keeper, then its programs. Idempotent."""
        known = self.running()
        begun = process.halt(known.identity) if known is not None else []
        for name in self._names():
            record = self.record(name)
            if record is not None:
                process.end(record.identity, grace_s=grace_s)
        for each in begun:  # one that was being started may have no record yet
            process.end(each, grace_s=grace_s)
        for name in self._names():
            (self.folder / f"{name}.json").unlink(missing_ok=True)
        (self.folder / "keeper.pid").unlink(missing_ok=True)
