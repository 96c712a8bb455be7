"""Whoever asks the notary: starts it with the first question, and anew when it is gone."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from havre.base import errors
from havre.base.errors import BrokenError, InvalidError, UnavailableError
from havre.base.secret import Secret
from havre.drivers.x509.files import key_file, root_file
from havre.drivers.x509.model import NEVER, Checked, Root

ANSWER_S = 20.0
MOST_BYTES = 128 * 1024
COMMAND = (sys.executable, "-P", "-m", "havre.drivers.x509.program")
_KINDS = {each.__name__: each for each in errors.HavreError.__subclasses__()}


class Notary:
    """The process that has the library for certificates, while somebody needs it. Blocks; safe from several threads.

    answer_s: how long an answer may take, those before it and the start included.
    Everything that it is asked raises UnavailableError when it does not answer, or has ended twice without an answer.
    """

    def __init__(self, command: Sequence[str] = COMMAND, *, answer_s: float = ANSWER_S) -> None:
        self._command, self._answer_s = tuple(command), answer_s
        self._lock = threading.Lock()  # one question at a time
        self._child: _Child | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, when there is one."""
        child = self._child
        return child.process.pid if child is not None and child.process.returncode is None else None

    def authority(self, folder: Path, *, now: int) -> Authority:
        """The authority in `folder`, made when there is none."""
        if not root_file(folder).exists():
            self.make(folder, now=now)
        found = Authority(self, folder)
        with contextlib.suppress(UnavailableError):  # told to whoever needs it
            found.keep(now=now)
        return found

    def make(self, folder: Path, *, now: int) -> None:
        """Have an authority in `folder`, with a root that is good at `now`: of the same key, when there was another."""
        self._ask("make", folder=str(folder), now=now)

    def leaf(
        self, folder: Path, names: Sequence[str], *, now: int, since: int = NEVER, until: int = 0
    ) -> tuple[str, int]:
        """A certificate of the authority in `folder` with its key, PEM in one text; and the moment at which it ends.

        since, until: when it begins at the latest and ends at the earliest, where `now` may be wrong."""
        said = self._ask("leaf", folder=str(folder), names=list(names), now=now, since=since, until=until)
        return said["text"], said["end"]

    def check(self, certificate: str, key: str, *, now: int) -> Checked:
        """Check PEM texts that can be served; both may hold more than they should, such as one bundle given twice.

        Raises InvalidError with what is wrong and what to do.
        """
        if len(certificate) + len(key) > MOST_BYTES:
            raise InvalidError(f"Invalid certificate: more than {MOST_BYTES // 1024} KiB")
        said = self._ask("check", certificate=certificate, key=key, now=now)
        return Checked(**said | {"names": tuple(said["names"]), "key": Secret(said["key"])})

    def close(self) -> None:
        """End the process. The next question starts another."""
        with self._lock:
            self._end()

    # inside

    def _ask(self, what: str, **told: Any) -> Any:
        question = json.dumps({"ask": what, **told}).encode() + b"\n"
        deadline = time.monotonic() + self._answer_s
        if not self._lock.acquire(timeout=self._answer_s):
            raise _silent()
        try:
            said = self._answer(question, deadline)
        finally:
            self._lock.release()
        if (error := said.get("error")) is None:
            return said["said"]
        if error["kind"] in _KINDS:
            raise _KINDS[error["kind"]](error["message"], **error["facts"])
        raise BrokenError("the program that makes and checks certificates failed", error=error["message"])

    def _answer(self, question: bytes, deadline: float) -> dict[str, Any]:
        """Asked once more when it ends before it answers: killed, or idle this very moment."""
        for is_last in (False, True):
            try:
                if self._child is None:
                    self._child = _Child(self._command)
                return self._child.ask(question, deadline)
            except OSError as cause:
                self._end()
                if is_last or isinstance(cause, TimeoutError):
                    raise _silent() from cause
        raise AssertionError("unreachable")

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
        self._child = None


@dataclass(frozen=True)
class Authority:
    """The internal authority; its key is in its folder."""

    notary: Notary
    folder: Path

    def leaf(self, names: Sequence[str], *, now: int, since: int = NEVER, until: int = 0) -> tuple[str, int]:
        """See `Notary.leaf`."""
        return self.notary.leaf(self.folder, names, now=now, since=since, until=until)

    def keep(self, *, now: int) -> bool:
        """Have a root that is good at `now`; whether another was made. Raises as `root`."""
        if self.root().is_good(now):
            return False
        self.notary.make(self.folder, now=now)
        return True

    def root(self) -> Root:
        """Of its file, without the notary. Raises UnavailableError when that or the key cannot be read."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(root_file(self.folder), key_file(self.folder), password="")
            context.load_verify_locations(root_file(self.folder))
            found: Any = context.get_ca_certs()[0]
        except (OSError, IndexError) as cause:
            message = "the internal certificate authority cannot be read"
            raise UnavailableError(message, folder=str(self.folder)) from cause
        common = [value for part in found["subject"] for kind, value in part if kind == "commonName"]
        life = [int(ssl.cert_time_to_seconds(found[each])) * 1000 for each in ("notBefore", "notAfter")]
        return Root(common[0] if common else "", *life)


class _Child:
    """One notary. What it does wrong is an OSError, silence a TimeoutError. Why it cannot start is on our stderr."""

    def __init__(self, command: Sequence[str]) -> None:
        self.channel, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._lock = threading.Lock()
        # it ends by itself, and nobody may ask again for hours
        threading.Thread(target=_take_leave, args=(self.process, self._lock), name="notary", daemon=True).start()

    def ask(self, question: bytes, deadline: float) -> dict[str, Any]:
        self._until(deadline)
        self.channel.sendall(question)
        said = bytearray()
        while not said.endswith(b"\n"):
            self._until(deadline)
            if not (part := self.channel.recv(65536)):
                raise ConnectionResetError("it ended")
            said += part
        found: dict[str, Any] = json.loads(said)
        return found

    def _until(self, deadline: float) -> None:
        if (left_s := deadline - time.monotonic()) <= 0:
            raise TimeoutError
        self.channel.settimeout(left_s)

    def end(self) -> None:
        self.channel.close()
        with self._lock:
            self.process.kill()


def _take_leave(process: subprocess.Popen[bytes], lock: threading.Lock) -> None:
    """Collect it when it has ended, and not while somebody is about to kill it: its pid is its own until then."""
    with contextlib.suppress(ChildProcessError):  # collected by whoever ended it
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with lock:
        process.wait()


def _silent() -> UnavailableError:
    return UnavailableError("certificates can be neither made nor checked now")
