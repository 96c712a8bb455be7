"""Deployments that cannot succeed, under load: the old version serves every request, and the owner reads why."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.rig import NEEDS_LIMITS, NODE_APP, Installation, Load, commit, installation, until, write_files

HOST = "hello.havre.localhost"
BROKEN = {
    "a build that fails": ({"package.json": "{ broken"}, "package.json"),
    "a crash at boot": ({"server.js": 'console.log("no database"); process.exit(4)'}, "no database"),
    "a health check that fails": (
        {"server.js": 'require("node:http").createServer((q, s) => { s.statusCode = 500; s.end() }).listen(8080)'},
        "GET / answers 500",
    ),
    "nobody listens": ({"server.js": "setInterval(() => {}, 1000)"}, "nothing listens on port 8080"),
    "too little memory": (
        {"server.js": "const held = []; for (;;) held.push(Buffer.alloc(1 << 24, 1))"},
        "out of memory: the app needs more than flavor pico has; take flavor nano",
    ),
}


MARKS = {
    "nobody listens": pytest.mark.soak,
    "a health check that fails": pytest.mark.soak,
    "too little memory": NEEDS_LIMITS,
}
HAS_ROOT = os.getuid() == 0
DISK = "size=300m,nr_inodes=8000"
RESERVE = {"reserve_bytes": 1024 * 1024, "reserve_files": 100}


@pytest.fixture(scope="module")
def havre() -> Iterator[Installation]:
    """An installation with one app that serves; for root its data is on a small disk of its own."""
    apps = {"health_timeout_s": 10.0, "drain_s": 10.0, "grace_s": 2.0}
    with installation(apps=apps, build=RESERVE) as made:
        if HAS_ROOT:
            made.data.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", DISK, "small", str(made.data)], check=True)
        try:
            made.up()
            folder = made.new_repository("hello")
            made.clever("create", "-t", "node", "hello", cwd=folder)
            made.clever("scale", "--flavor", "pico", cwd=folder)
            made.deploy(folder)
            yield made
        finally:
            if HAS_ROOT:
                made.down()
                subprocess.run(["umount", "-l", str(made.data)], check=True)


def serving(havre: Installation) -> dict[str, Any]:
    status, _, body = havre.get(HOST)
    assert status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found


@pytest.mark.parametrize("kind", [pytest.param(each, marks=MARKS[each]) if each in MARKS else each for each in BROKEN])
def test_a_deployment_that_fails_leaves_the_old_version_serving_every_request(havre: Installation, kind: str) -> None:
    folder, (files, words) = havre.base / "hello", BROKEN[kind]
    before = serving(havre)
    write_files(folder, NODE_APP | files)
    sha = commit(folder, kind)
    with Load(havre, HOST, clients=2).running() as load:
        havre.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder, check=False)
        row = until(lambda: over(havre, folder, sha), what="the deployment has ended", limit_s=120)
        asked = load.answered
        until(lambda: load.answered > asked + 20, what="it is still asked")
    assert row["state"] == "FAIL"
    assert load.lost == [] and load.seen == {before["deployment"]} and load.instances == {before["instance"]}
    logs = ("logs", "--deployment-id", row["uuid"], "--since", "1h", "--until", "0s")
    until(lambda: words in havre.clever(*logs, cwd=folder).stdout, what=f"its logs say {words!r}")


def over(havre: Installation, folder: Path, sha: str) -> dict[str, Any] | None:
    rows = [each for each in havre.clever_json("activity", cwd=folder) if each["commit"] == sha]
    return rows[-1] if rows and rows[-1]["state"] != "WIP" else None


# a disk without room


def fill_bytes(data: Path) -> Path:
    """All that is left of the disk, to the last byte."""
    file = data / "filler"
    with open(file, "wb", buffering=0) as out:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    out.write(b"x" * size)
            except OSError:
                continue
    return file


def fill_files(data: Path) -> Path:
    """All files that the disk may have."""
    folder = data / "filler"
    folder.mkdir()
    try:
        for number in range(10**6):
            os.close(os.open(folder / str(number), os.O_CREAT | os.O_WRONLY))
    except OSError:
        return folder
    raise AssertionError("the disk has no end")


def empty(filler: Path) -> None:
    subprocess.run(["rm", "-rf", str(filler)], check=True)


FULL: dict[str, Callable[[Path], Path]] = {"bytes": fill_bytes, "files": fill_files}
TO_THE_END = """
number=0
while [ $number -lt 100 ] && echo x > full-$number; do number=$((number + 1)); sleep 0.1; done
exit 1
"""


@pytest.mark.skipif(not HAS_ROOT, reason="mounts a small disk")
@pytest.mark.parametrize("kind", ["bytes", pytest.param("files", marks=pytest.mark.soak)])
def test_a_full_disk_in_the_middle_of_a_deployment_costs_no_request(havre: Installation, kind: str) -> None:
    """A build that ends when it finds the disk full, and fails then: its version never serves, however slow we are."""
    folder, before = havre.base / "hello", serving(havre)
    havre.clever("env", "set", "CC_PRE_BUILD_HOOK", "sh hook.sh", cwd=folder)
    write_files(folder, NODE_APP | {"hook.sh": TO_THE_END})
    with Load(havre, HOST, clients=2).running() as load:
        sha = commit(folder, "into a full disk")
        havre.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder)
        until(lambda: any("full-0" in files for _, _, files in os.walk(havre.data)), what="it is being built")
        filler = FULL[kind](havre.data)
        commit(folder, "onto a full disk")
        havre.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder, check=False)
        asked = load.answered
        until(lambda: load.answered > asked + 200, what="it is still asked")
        assert load.lost == [] and load.seen == {before["deployment"]}, "the old version serves alone"
        empty(filler)
        until(lambda: over(havre, folder, sha), what="the deployment has ended", limit_s=120)
        write_files(folder, {"hook.sh": "exit 0\n"})
        sha = commit(folder, "with room")
        havre.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder)
        until(lambda: serving(havre)["commit"] == sha, what="the next one serves", limit_s=120)
    assert load.lost == []
