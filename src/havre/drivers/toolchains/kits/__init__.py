"""Kits: files of our own that apps or their builds run, one folder each beside this file."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from havre.drivers.toolchains.place import put, scratch

KITS = Path(__file__).parent


def is_kit(name: str) -> bool:
    return name.isalnum() and (KITS / name).is_dir()


def kit(root: Path, name: str) -> Path:
    """A copy in which programs can be run, named by its content."""
    digest = hashlib.sha256()
    for each in sorted(each for each in (KITS / name).rglob("*") if each.is_file()):
        digest.update(str(each.relative_to(KITS)).encode() + b"\0" + each.read_bytes())
    place = root / f"{name}-{digest.hexdigest()[:12]}"
    if not place.exists():
        with scratch(root) as folder:
            fresh = folder / name
            shutil.copytree(KITS / name, fresh, ignore=shutil.ignore_patterns("__pycache__"))
            for each in fresh.rglob("*"):
                each.chmod(0o755 if each.is_dir() or each.parent.name == "bin" else 0o644)
            fresh.chmod(0o755)
            put(fresh, place)
    return place
