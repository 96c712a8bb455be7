"""What this host's cargo is told of registries: the tables of its settings that say so, and nothing else of them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_TABLES = ("source", "registries", "registry", "http", "net")
_HTTP = ("check-revoke", "ssl-version", "timeout", "multiplexing", "user-agent")
_OF_THE_HOST = ("directory", "local-registry")


def settings(host: Mapping[str, str], registry: str) -> str:
    """A config.toml for builds; empty when nothing is to be said. registry: the operator's, in place of crates.io."""
    if registry:
        return _toml({"source": {"crates-io": {"replace-with": "operator"}, "operator": {"registry": registry}}})
    found = _read(_home(host) / "config.toml") or _read(_home(host) / "config")
    kept = {name: value for name, value in found.items() if name in _TABLES and isinstance(value, dict)}
    if "http" in kept:
        kept["http"] = {name: value for name, value in kept["http"].items() if name in _HTTP}
    if "source" in kept:
        kept["source"] = {name: each for name, each in kept["source"].items() if not set(each) & set(_OF_THE_HOST)}
    return _toml(kept)


def tokens(host: Mapping[str, str]) -> dict[str, str]:
    """Who asks a registry: cargo's credentials as the variables that cargo reads in their place."""
    found = _read(_home(host) / "credentials.toml") or _read(_home(host) / "credentials")
    named = found.get("registries", {})
    env = {f"CARGO_REGISTRIES_{name.upper().replace('-', '_')}_TOKEN": _token(each) for name, each in named.items()}
    env["CARGO_REGISTRY_TOKEN"] = _token(found.get("registry", {}))
    return {name: value for name, value in env.items() if value}


def _token(table: Any) -> str:
    found = table.get("token") if isinstance(table, dict) else None
    return found if isinstance(found, str) else ""


def _home(host: Mapping[str, str]) -> Path:
    return Path(host.get("CARGO_HOME") or Path(host.get("HOME") or "/nonexistent") / ".cargo")


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}


def _toml(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> str:
    """Tables of plain values as TOML, whose basic strings are JSON's."""
    own = {key: value for key, value in tree.items() if not isinstance(value, dict)}
    head = f"[{'.'.join(json.dumps(each) for each in path)}]\n" if path and own else ""
    lines = "".join(f"{json.dumps(key)} = {json.dumps(value)}\n" for key, value in own.items())
    tables = (_toml(value, (*path, key)) for key, value in tree.items() if isinstance(value, dict))
    return head + lines + "".join(tables)
