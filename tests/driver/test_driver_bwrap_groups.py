"""How a unit's first process comes into its control groups: on this machine's own, of whichever version they are."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from havre.drivers import bwrap

SCRIPT = """
import os, sys
sys.path.insert(0, sys.argv[1])
import groups
orders = {"cgroups": [(each, ()) for each in sys.argv[2:]]}
groups.make(orders)
pid = groups.fork(orders)
if pid == 0:
    print(orders.get("born_in"), flush=True)
    groups.join(orders)
    print(open("/proc/self/cgroup").read(), flush=True)
    os._exit(7)
print("code", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
groups.leave(orders)
"""


def mounts(kind: str) -> list[Path]:
    lines = [each.split(" ") for each in Path("/proc/self/mounts").read_text().splitlines()]
    return [Path(place) for _, place, found, *_ in lines if found == kind and os.access(place, os.W_OK)]


@pytest.fixture
def name() -> Iterator[str]:
    made = f"havre-test-{uuid.uuid4().hex[:8]}"
    yield made
    for each in (*mounts("cgroup"), *mounts("cgroup2")):
        if (each / made).exists():
            (each / made).rmdir()


def entered(*folders: Path) -> list[str]:
    """What the first process says of itself in groups at `folders`."""
    argv = [sys.executable, "-I", "-S", "-c", SCRIPT, str(Path(bwrap.__file__).parent), *map(str, folders)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    lines = done.stdout.splitlines()
    assert lines[-1] == "code 7", done
    assert not any(each.exists() for each in folders)
    return lines


@pytest.mark.skipif(os.getuid() != 0 or not mounts("cgroup2"), reason="no control groups of version 2 are ours to make")
def test_in_version_2_it_is_born_there(name: str) -> None:
    folder = mounts("cgroup2")[0] / name
    born, *rest = entered(folder)
    assert born == str(folder)
    assert f"0::/{name}" in rest


OF_1 = [each for each in mounts("cgroup") if each.name in ("memory", "pids")]


@pytest.mark.skipif(os.getuid() != 0 or not OF_1, reason="no control groups of version 1 are ours to make")
def test_in_version_1_it_moves_its_only_thread(name: str) -> None:
    folders = [each / name for each in OF_1]
    born, *rest = entered(*folders)
    assert born == "None"
    assert len([each for each in rest if each.endswith(f"/{name}")]) == len(folders)


def test_where_there_is_no_group_it_runs_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert entered(tmp_path / "file" / "group")[0] == "None"
