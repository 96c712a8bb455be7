"""The control plane's end of the launchers: puts one where an instance finds it, and tells it how the start ended."""

from __future__ import annotations

import os
from pathlib import Path

import anyio.to_thread

from havre.apps import launch
from havre.apps.launch import Launch
from havre.drivers.disk.whole import write_whole
from havre.kernel.clock import Clock

TELL_S = 6.0


def prepare(folder: Path, starts: Launch) -> None:
    """Write the launcher and its pipe to `folder`, readable by the sandbox's user. Idempotent."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_whole(folder / launch.SCRIPT, launch.script(starts))
    pipe = folder / launch.OUTCOME
    if starts.hears and not pipe.exists():
        os.mkfifo(pipe, 0o600)
        pipe.chmod(0o644)


async def tell(folder: Path, *, succeeded: bool, clock: Clock) -> bool:
    """Tell the launcher in `folder` how the start of its instance ended; it runs the hook that there is for it.

    False when nobody listens: the instance is gone, has no hooks, or was told before.
    """
    pipe = folder / launch.OUTCOME
    word = b"succeeded\n" if succeeded else b"failed\n"
    deadline = clock.monotonic() + TELL_S
    while pipe.exists():
        if await anyio.to_thread.run_sync(_wrote, pipe, word):
            return True
        if clock.monotonic() > deadline:
            break
        await clock.sleep(0.05)
    return False


def _wrote(pipe: Path, word: bytes) -> bool:
    try:
        fd = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return False  # ENXIO: nobody has it open for reading
    try:
        return os.write(fd, word) == len(word)
    except OSError:
        return False
    finally:
        os.close(fd)
