"""What this host's Go is told of module proxies and checksum databases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

NAMES = ("GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOVCS")


def environment(host: Mapping[str, str]) -> dict[str, str]:
    """`go env -w` writes a file (`go help environment`); a variable of the environment stands above it."""
    home = Path(host.get("HOME") or "/nonexistent")
    file = Path(host.get("GOENV") or Path(host.get("XDG_CONFIG_HOME") or home / ".config") / "go" / "env")
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    pairs = (line.strip().partition("=") for line in lines if not line.lstrip().startswith("#"))
    found = {name.strip(): value.strip() for name, is_pair, value in pairs if is_pair}
    return {name: value for name, value in (found | dict(host)).items() if name in NAMES and value}
