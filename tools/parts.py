"""What every part of `setup` does: it says its line, and leaves a stamp made of the hash of what it was made from.

Standard library only.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMPS = VENV / ".havre"


def fail(message: str) -> None:
    sys.exit(f"setup: {message}")


def digest(*parts: Path | str) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part.read_bytes() if isinstance(part, Path) else part.encode())
        found.update(b"\0")
    return found.hexdigest()


def is_done(name: str, value: str) -> bool:
    stamp = STAMPS / name
    return stamp.exists() and stamp.read_text() == value


def done(name: str, value: str) -> None:
    STAMPS.mkdir(parents=True, exist_ok=True)
    fresh = STAMPS / f"{name}.new"
    fresh.write_text(value)
    fresh.rename(STAMPS / name)


def run(command: list[str], what: str, **options: object) -> None:
    made = subprocess.run(command, capture_output=True, text=True, **options)  # type: ignore[call-overload]
    if made.returncode != 0:
        sys.stderr.write(made.stdout[-4000:] + made.stderr[-4000:])
        fail(f"{what} failed; what it said stands above. Run make setup again once it is mended")


def say(what: str, detail: str, began: float) -> None:
    print(f"  {what:<15} {detail:<58} {time.monotonic() - began:5.1f} s", flush=True)
