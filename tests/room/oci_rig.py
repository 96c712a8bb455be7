"""OCI layouts of our own: a base image out of a stack of Debian packages, for there is no registry to ask."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_layout(layout: Path, tree: Path, *, tag: str, config: Mapping[str, Any] | None = None) -> None:
    """One image with one layer, the files of `tree` as root's (OCI image specification, "Image Layout")."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(content: bytes, kind: str) -> dict[str, Any]:
        name = hashlib.sha256(content).hexdigest()
        (blobs / name).write_bytes(content)
        return {"mediaType": kind, "digest": f"sha256:{name}", "size": len(content)}

    flags = ["--numeric-owner", "--owner=0", "--group=0", "--hard-dereference", "-C", str(tree), "-c", "."]
    layer = put(subprocess.run(["tar", *flags], check=True, capture_output=True).stdout, LAYER)
    described = {
        "architecture": MACHINES.get(platform.machine(), platform.machine()), "os": "linux",
        "config": {"Env": ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], **(config or {})},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}, "history": [{"created_by": "a stack"}],
    }  # fmt: skip
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer]}
    manifest["config"] = put(json.dumps(described).encode(), CONFIG)
    shown = put(json.dumps(manifest).encode(), MANIFEST)
    shown["annotations"] = {"org.opencontainers.image.ref.name": tag}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [shown]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
