"""The control plane as a process: start it, find it, end it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from havre.base.errors import UnavailableError
from havre.drivers import identity

READY_S = 90
STOP_S = 30


def status_of(data: Path) -> dict[str, Any] | None:
    """What the running control plane of `data` wrote about itself; None when it does not run."""
    try:
        found: dict[str, Any] = json.loads((data / "status.json").read_text())
        known = identity.Identity(found["pid"], found["start_time"], found["boot_id"])
    except (OSError, ValueError, KeyError):
        return None
    return found if identity.is_alive(known) else None


def command(module: str, data: Path, config: Path | None, settings: Mapping[str, Any]) -> list[str]:
    argv = [sys.executable, "-m", f"havre.{module}", "--data", str(data)]
    argv += ["--config", str(config)] if config is not None else []
    for key, value in settings.items():
        argv += ["--set", f"{key}={json.dumps(value)}"] if value is not None else []
    return argv


def environment() -> dict[str, str]:
    """The control plane's: ours, and one arena of memory for all of its threads, of which one runs at a time."""
    return {"MALLOC_ARENA_MAX": "1", **os.environ}  # mallopt(3)


def start(data: Path, config: Path | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Start in the background and return its status once a client gets an answer. Raises UnavailableError."""
    running = status_of(data)
    if running is not None:
        return running
    data.mkdir(parents=True, exist_ok=True)
    log = data / "havre.log"
    with open(data / "havre.err", "w") as errors:
        argv = [*command("daemon", data, config, settings), "--log-file", str(log)]
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            start_new_session=True,
            cwd="/",
            env=environment(),
        )
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        found = status_of(data)
        if found is not None and found["pid"] == process.pid:
            return found
        if process.poll() is not None:
            raise UnavailableError(_last_words(data))
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    raise UnavailableError(f"Havre did not become ready within {READY_S} s; see {log}")


def _last_words(data: Path) -> str:
    said = (data / "havre.err").read_text().strip().splitlines()
    return said[-1].removeprefix("havre: ") if said else f"Havre ended at once; see {data / 'havre.log'}"


def stop_control_plane(data: Path) -> bool:
    """End the control plane alone; apps go on. False when it does not run."""
    found = status_of(data)
    if found is None:
        return False
    fd = identity.open_pidfd(identity.Identity(found["pid"], found["start_time"], found["boot_id"]))
    if fd is None:
        return False
    try:
        signal.pidfd_send_signal(fd, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        while status_of(data) is not None:
            if time.monotonic() > deadline:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
                break
            time.sleep(0.05)
    finally:
        os.close(fd)
    return True


def stop_everything(data: Path, config: Path | None) -> None:
    """End the control plane, every instance and the edge. Raises UnavailableError."""
    stop_control_plane(data)
    if not data.exists():
        return
    done = subprocess.run(command("ending", data, config, {}), capture_output=True, text=True, timeout=120, cwd="/")
    if done.returncode != 0:
        raise UnavailableError(f"not everything could be stopped: {done.stderr.strip()[-400:]}")
