"""OAuth2 Proxy: the host's own where it is installed, else built from its Go module, once.

The module's own sum is pinned here and its go.sum pins what it is made of, so nothing is built that was not meant,
whichever mirror it comes from.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from havre.base.errors import UnavailableError
from havre.drivers.toolchains.go import go
from havre.drivers.toolchains.place import put, scratch
from havre.drivers.toolchains.wheels import run

OAUTH2_PROXY_VERSION = "7.8.1"
MODULE = "github.com/oauth2-proxy/oauth2-proxy/v7"
SUM = "h1:1CMjAm6m3I3uFuyrCI8PIQtPkYKnoNsgMHTcBXXSSL8="  # of the module's zip, as go.sum has it
BUILD_S, FETCH_S = 1800, 300
_MINE = ("GOPATH", "GOCACHE", "GOMODCACHE", "GOBIN", "GOFLAGS", "GOTOOLCHAIN", "GOROOT", "GODEBUG", "GOWORK")


def of_the_host(environment: Mapping[str, str]) -> Path | None:
    """The program that the operator has installed."""
    found = shutil.which("oauth2-proxy", path=environment.get("PATH"))
    return Path(found).resolve() if found else None


def oauth2_proxy(root: Path, environment: Mapping[str, str]) -> Path:
    """A tree with `bin/oauth2-proxy`. Raises UnavailableError with what Go said."""
    place = root / f"oauth2-proxy-{OAUTH2_PROXY_VERSION}"
    if not place.exists():
        home = go(root, "", environment)
        with scratch(root) as folder:
            env = _environment(home, folder, environment)
            _fetch(home, env)
            flags = f"-s -w -X {MODULE}/pkg/version.VERSION=v{OAUTH2_PROXY_VERSION}"
            what = f"{MODULE}@v{OAUTH2_PROXY_VERSION}"
            run(["nice", str(home / "bin" / "go"), "install", "-ldflags", flags, what], env, BUILD_S, what=what)
            put(folder / "oauth2-proxy", place)
    return place


def _environment(home: Path, folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Where the host's Go fetches from, and nothing else of its own; the sum is ours to check (no sumdb)."""
    env = {name: value for name, value in environment.items() if name not in _MINE}
    env |= {"GOPATH": f"{folder}/gopath", "GOCACHE": f"{folder}/cache", "GOBIN": f"{folder}/oauth2-proxy/bin"}
    env |= {"GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -modcacherw"}
    env |= {"GODEBUG": "installgoroot=all", "GOTELEMETRY": "off", "GOWORK": "off"}
    env["GONOSUMDB"] = ",".join(filter(None, (environment.get("GONOSUMDB", ""), MODULE)))
    return env | {"PATH": f"{home / 'bin'}:/usr/bin:/bin"}


def _fetch(home: Path, env: Mapping[str, str]) -> None:
    """The module's source into the cache of `env`. Raises UnavailableError when it is not what we know it to be."""
    what = f"{MODULE}@v{OAUTH2_PROXY_VERSION}"
    argv = [str(home / "bin" / "go"), "mod", "download", "-json", what]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=FETCH_S, env=env, cwd=home)
        found = json.loads(done.stdout or "{}")
    except (OSError, subprocess.TimeoutExpired, ValueError) as cause:
        raise UnavailableError(f"{what} could not be fetched") from cause
    if done.returncode != 0 or found.get("Error"):
        raise UnavailableError(f"{what} could not be fetched: {(found.get('Error') or done.stderr).strip()[-300:]}")
    if found.get("Sum") != SUM:
        raise UnavailableError(f"{what} is not the one that we know: its sum is {found.get('Sum')}, not {SUM}")
