"""What this host's pip is told of its indexes."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path

_KEPT = ("index-url", "extra-index-url", "trusted-host", "timeout", "retries")


def settings(host: Mapping[str, str], prefix: Path | None) -> dict[str, str]:
    """pip's files, later ones above earlier ones (pip documentation, "Configuration").

    prefix: where the interpreter's own pip.conf is (pip's "site" level).
    """
    home = Path(host.get("HOME") or "/nonexistent")
    files = [Path("/etc/pip.conf"), home / ".pip" / "pip.conf"]
    files.append(Path(host.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf")
    if prefix is not None:
        files.append(prefix / "pip.conf")
    if host.get("PIP_CONFIG_FILE"):
        files = [] if host["PIP_CONFIG_FILE"] == "/dev/null" else [*files, Path(host["PIP_CONFIG_FILE"])]
    found: dict[str, str] = {}
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(file.read_text())
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {key.replace("_", "-"): " ".join(value.split()) for key, value in parser.items(section)}
    return found


def environment(found: Mapping[str, str]) -> dict[str, str]:
    """The variables that say the same."""
    return {f"PIP_{key.upper().replace('-', '_')}": found[key] for key in _KEPT if key in found}
