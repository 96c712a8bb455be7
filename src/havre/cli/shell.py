"""What a shell needs before `clever`, `git` and `curl` work: `eval "$(havre env)"`."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from havre.base.errors import UnavailableError
from havre.drivers.disk.whole import differs, write_whole

HOST_ROOTS = "/etc/ssl/certs/ca-certificates.crt"
CA_NAMES = ("NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


def bundle(data: Path, ca: Path, environment: Mapping[str, str]) -> Path:
    """One file with the roots that are trusted already and ours: the variables name one file each."""
    target = data / "ca-bundle.pem"
    sources = [Path(environment[name]) for name in CA_NAMES if environment.get(name)]
    parts: dict[str, None] = {}
    for source in [*sources, Path(HOST_ROOTS)]:
        if source != target and source.is_file():
            for part in source.read_text(errors="replace").split("-----END CERTIFICATE-----"):
                begin = part.find("-----BEGIN CERTIFICATE-----")
                if begin >= 0:
                    parts[part[begin:].strip()] = None
    if not parts:
        import certifi

        return _write(target, Path(certifi.where()).read_text() + ca.read_text())
    own = ca.read_text().strip()
    return _write(target, "".join(f"{part}\n-----END CERTIFICATE-----\n" for part in parts) + own + "\n")


def _write(target: Path, content: str) -> Path:
    if differs(target, content):
        write_whole(target, content)
    return target


def variables(data: Path, status: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables. Raises UnavailableError when there are no credentials."""
    env = os.environ if environment is None else environment
    try:
        credentials = json.loads((data / "credentials.json").read_text())
    except (OSError, ValueError) as cause:
        raise UnavailableError(
            f"{data / 'credentials.json'} cannot be read: are you the user who started Havre?"
        ) from cause
    file = str(bundle(data, Path(status["ca"]), env))
    shims = str(Path(sys.prefix) / "share" / "havre" / "bin")
    path = env.get("PATH", "/usr/bin:/bin")
    found = {
        "PATH": path if shims in path.split(":") else f"{shims}:{path}",
        "API_HOST": status["api"],
        "AUTH_BRIDGE_HOST": status["api"],
        "CONSOLE_URL": status["console"],
        "SSH_GATEWAY": status.get("ssh", ""),
        "CLEVER_TOKEN": credentials["token"],
        "CLEVER_SECRET": credentials["secret"],
        "NO_UPDATE_NOTIFIER": "1",
    }
    return found | dict.fromkeys(CA_NAMES, file)


def lines(found: Mapping[str, str]) -> str:
    """Lines for `eval` in any shell of the POSIX family."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in found.items())
