"""Lines of the platform about a deployment, in the file that its watchers read."""

from __future__ import annotations

import os
from pathlib import Path

from havre.kernel.config import Paths


def file_of(paths: Paths, deployment_id: str, name: str) -> Path:
    """Where lines of a deployment go: `deploy` (the platform's), `build`, or an instance's id."""
    return paths.deployments / deployment_id / f"{name}.log"


def say(paths: Paths, deployment_id: str, *lines: str) -> None:
    """Append lines to the deployment's log. A full disk must not fail a deployment: the line is then lost."""
    append(file_of(paths, deployment_id, "deploy"), *lines)


def append(file: Path, *lines: str) -> None:
    """Append lines to a file of output; on a full disk they are lost."""
    content = "".join(f"{line}\n" for line in lines).encode()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError:
        return
    try:
        os.write(fd, content)
    except OSError:
        return
    finally:
        os.close(fd)
