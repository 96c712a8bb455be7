"""Network namespaces with names of our own, and programs in them that end with us. Manual page: README.md."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from havre.base.errors import UnavailableError

LIMIT_S = 30.0
NAMES = Path("/run/netns")


@dataclass
class Namespaces:
    """The namespaces `<prefix>-<node>` of one owner. The owner's pid is in the prefix, so that what a killed owner left
    is recognised by the next. ahead: what every command begins with, such as `nice`."""

    prefix: str
    ahead: tuple[str, ...] = ()
    made: list[str] = field(default_factory=list)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def name(self, node: str) -> str:
        return f"{self.prefix}-{node}"

    def make(self, nodes: Sequence[str]) -> None:
        """Raises UnavailableError, which says what is missing."""
        for node in nodes:
            self.made.append(node)
            run("ip", "netns", "add", self.name(node))

    def batch(self, node: str, lines: Sequence[str]) -> None:
        """Lines of `ip` inside one namespace, in one process."""
        run("ip", "-n", self.name(node), "-batch", "-", given="\n".join(lines) + "\n")

    def command(self, node: str, argv: Sequence[str]) -> list[str]:
        """`argv` as run inside: it replaces `ip` and ends with the thread that started it."""
        return [*self.ahead, "setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", self.name(node), *argv]

    def run(self, node: str, *argv: str, given: str = "") -> str:
        return run(*self.command(node, argv), given=given)

    def start(self, key: str, node: str, argv: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> int:
        """Start a program that stays; its output goes to `log`. Returns its pid."""
        with open(log, "ab") as out:
            self.running[key] = subprocess.Popen(
                self.command(node, argv), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=dict(environment)
            )
        return self.running[key].pid

    def stop(self, key: str, *, is_killed: bool = False, grace_s: float = 3) -> None:
        """End one of the programs, by its pid. Idempotent."""
        process = self.running.pop(key, None)
        if process is None or process.poll() is not None:
            return
        if not is_killed:
            process.terminate()
            try:
                process.wait(grace_s)
                return
            except subprocess.TimeoutExpired:
                pass
        process.kill()
        process.wait(grace_s)

    def wait(self, key: str, *, limit_s: float = 10) -> None:
        """Until one of the programs has ended by itself. Raises UnavailableError."""
        process = self.running.pop(key)
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired as cause:
            process.kill()
            process.wait(limit_s)
            raise UnavailableError(f"{key} did not end within {limit_s:.0f} s") from cause

    def remove(self) -> None:
        """End every program and remove every namespace of ours. Idempotent; nothing is raised for what is gone."""
        for process in self.running.values():
            if process.poll() is None:
                process.kill()
        for key in list(self.running):
            with contextlib.suppress(subprocess.TimeoutExpired):  # the kernel takes its time with a busy one
                self.stop(key, is_killed=True, grace_s=10)
        for node in reversed(self.made):
            subprocess.run(["ip", "netns", "delete", self.name(node)], capture_output=True, timeout=LIMIT_S)
        self.made.clear()


def run(*argv: str, given: str = "") -> str:
    """What a command says. Raises UnavailableError with the end of its output."""
    try:
        done = subprocess.run(argv, input=given, capture_output=True, text=True, timeout=LIMIT_S)
    except (OSError, subprocess.TimeoutExpired) as cause:
        raise UnavailableError(f"{argv[0]} cannot be run", program=argv[0]) from cause
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()[-400:]
        raise UnavailableError(f"{' '.join(argv[:6])}: {words}", program=argv[0])
    return done.stdout


def forget_dead(label: str) -> list[str]:
    """Remove the namespaces `<label>-<pid>-…` whose owner has ended without doing so, and end what still runs in them:
    a daemon that changes its user outlives its owner (the kernel forgets the signal then). Returns their names."""
    names = [each.name for each in NAMES.iterdir()] if NAMES.is_dir() else []
    dead = []
    for name in sorted(names):
        matched = re.fullmatch(rf"{re.escape(label)}-(\d+)-[a-z0-9]+", name)
        if matched and not _runs(int(matched[1])):
            dead.append(name)
            _end_all(name)
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, timeout=LIMIT_S)
    return dead


def _end_all(name: str) -> None:
    """Kill the processes inside one namespace, by their pids."""
    said = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, timeout=LIMIT_S).stdout
    for pid in said.split():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(int(pid), signal.SIGKILL)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
