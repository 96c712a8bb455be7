"""The notary: a process of its own, so that what it is asked for a few times a day is not in memory all day.

`python -m havre.drivers.x509.program`, with a socket as standard input. One request a line, one answer a line, JSON. It
ends when it was asked for nothing for `IDLE_S` (or the seconds that it is given), and when whoever started it is gone.
Keys of authorities are read from their files, and never told.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from havre.base.errors import HavreError
from havre.drivers.x509 import authority

IDLE_S = 15.0


def make(*, folder: str, now: int) -> None:
    """Have an authority in `folder`, with a root that is good at `now`."""
    authority.open_authority(Path(folder), now=now)


def leaf(*, folder: str, names: list[str], now: int, since: int, until: int) -> dict[str, Any]:
    made = authority.open_authority(Path(folder), now=now)
    text, end = made.leaf(names, now=now, since=since, until=until)
    return {"text": text, "end": end}


def check(*, certificate: str, key: str, now: int) -> dict[str, Any]:
    from havre.drivers.x509.check import check as look  # most notaries are asked for leaves alone

    found = look(certificate, key, now=now)
    return {**vars(found), "key": found.key.reveal()}


ASKED: dict[str, Callable[..., dict[str, Any] | None]] = {"make": make, "leaf": leaf, "check": check}


def answer(request: bytes) -> bytes:
    told = json.loads(request)
    try:
        said = {"said": ASKED[told.pop("ask")](**told)}
    except HavreError as error:
        facts = {name: str(value) for name, value in error.facts.items()}
        said = {"error": {"kind": type(error).__name__, "message": error.message, "facts": facts}}
    except Exception as error:  # noqa: BLE001 - a door; without the text, which may hold what is secret
        said = {"error": {"kind": "", "message": type(error).__name__, "facts": {}}}
    return json.dumps(said).encode() + b"\n"


def main() -> None:
    with socket.socket(fileno=0) as asking, asking.makefile("rwb") as lines, contextlib.suppress(OSError):
        asking.settimeout(float(sys.argv[1]) if len(sys.argv) > 1 else IDLE_S)
        while (request := lines.readline()).endswith(b"\n"):
            lines.write(answer(request))
            lines.flush()


if __name__ == "__main__":
    main()
