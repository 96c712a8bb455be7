"""OCI layouts of our own: a base image out of a stack of Debian packages, for there is no registry to ask."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from havre.apps import stacks
from havre.apps.runtimes import Plan
from havre.drivers.debian import Stacks
from havre.kernel.config import ImagesConfig
from tests.room.build_rig import BuildRig

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


async def write_base_images(found: Stacks | None, layouts: Path) -> None:
    """A layout `python` with the tag 3.11, out of a stack. Idempotent."""
    if (layouts / "python").exists():
        return
    plan = Plan("docker", (), (), "", packages=("python3",))
    roots = await stacks.roots(found, plan, with_build=False, fresh_s=86_400, tell=print)
    tree = stacks.tree_of(found, roots.run)
    assert tree is not None, "this machine has no apt to make a base image with"
    write_layout(layouts / "python", tree, tag="3.11")


def set_images(rig: BuildRig, **settings: Any) -> None:
    build = dataclasses.replace(rig.config.build, images=ImagesConfig(**settings))
    rig.config = dataclasses.replace(rig.config, build=build)


async def give_base_images(rig: BuildRig) -> None:
    layouts = rig.paths.data / "layouts"
    await write_base_images(rig.stacks, layouts)
    set_images(rig, layouts=str(layouts))
