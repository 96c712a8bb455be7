"""Where a repository's hooks are: a folder of two small programs that call `hook.py`.

Nothing of a repository itself is ever run: `core.hooksPath` names this folder for every request.
"""

from __future__ import annotations

import sys
from pathlib import Path

from havre.drivers.disk.whole import differs, write_whole

NAMES = ("pre-receive", "post-receive")


def write_hooks(folder: Path) -> None:
    """Make the folder that `core.hooksPath` names. Idempotent."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name in NAMES:
        content = f'#!/bin/sh\nexec "$HAVRE_PYTHON" -I -S "$HAVRE_HOOK" {name}\n'
        file = folder / name
        if differs(file, content):  # two first pushes may come at once
            write_whole(file, content, mode=0o755)


def settings(folder: Path) -> dict[str, str]:
    """What git is told of the hooks in `folder`."""
    return {"core.hooksPath": str(folder)}


def environment(*, push: str, socket: Path) -> dict[str, str]:
    """What the hooks need to know of one push."""
    hook = Path(__file__).with_name("hook.py")
    return {
        "HAVRE_PYTHON": sys.executable,
        "HAVRE_HOOK": str(hook),
        "HAVRE_PUSH": push,
        "HAVRE_HOOKS_SOCKET": str(socket),
    }
