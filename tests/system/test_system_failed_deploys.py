"""Deployments that cannot succeed, under load: the old version serves every request, and the owner reads why."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.system.rig import NODE_APP, Installation, Load, commit, installation, until, write_files

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


@contextmanager
def deployed(data_mount: str = "", **settings: Any) -> Iterator[Installation]:
    """An installation with one app that serves; data_mount: options of the small file system that its data is on."""
    apps = {"health_timeout_s": 6.0, "drain_s": 10.0, "grace_s": 2.0}
    with installation(apps=apps, **settings) as made:
        if data_mount:
            made.data.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", data_mount, "small", str(made.data)], check=True)
        try:
            made.up()
            folder = made.new_repository("hello")
            made.clever("create", "-t", "node", "hello", cwd=folder)
            made.clever("scale", "--flavor", "pico", cwd=folder)
            made.deploy(folder)
            yield made
        finally:
            if data_mount:
                made.down()
                subprocess.run(["umount", "-l", str(made.data)], check=True)


@pytest.fixture(scope="module")
def havre() -> Iterator[Installation]:
    with deployed() as made:
        yield made


def serving(havre: Installation) -> dict[str, Any]:
    status, _, body = havre.get(HOST)
    assert status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found


@pytest.mark.soak
@pytest.mark.parametrize("kind", BROKEN)
def test_a_deployment_that_fails_leaves_the_old_version_serving_every_request(havre: Installation, kind: str) -> None:
    folder, (files, words) = havre.base / "hello", BROKEN[kind]
    before = serving(havre)
    write_files(folder, NODE_APP | files)
    sha = commit(folder, kind)
    with Load(havre, HOST).running() as load:
        havre.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder, check=False)
        row = until(lambda: over(havre, folder, sha), what="the deployment has ended", limit_s=90)
        asked = load.answered
        until(lambda: load.answered > asked + 20, what="it is still asked")
    assert row["state"] == "FAIL"
    assert load.lost == [] and load.seen == {before["deployment"]} and load.instances == {before["instance"]}
    said = havre.clever("logs", "--deployment-id", row["uuid"], "--since", "1h", "--until", "0s", cwd=folder).stdout
    assert words in said, said[-1500:]


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


FULL: dict[str, tuple[str, dict[str, int], Callable[[Path], Path]]] = {
    "bytes": ("size=300m", {"reserve_bytes": 1024 * 1024, "reserve_files": 100}, fill_bytes),
    "files": ("size=300m,nr_inodes=4000", {"reserve_bytes": 1024 * 1024, "reserve_files": 100}, fill_files),
}


@pytest.mark.soak
@pytest.mark.skipif(os.getuid() != 0, reason="mounts a small disk")
@pytest.mark.parametrize("kind", FULL)
def test_a_full_disk_in_the_middle_of_a_deployment_costs_no_request(kind: str) -> None:
    mount, reserve, fill = FULL[kind]
    with deployed(mount, build=reserve) as havre:
        folder, before = havre.base / "hello", serving(havre)
        havre.clever("env", "set", "CC_PRE_BUILD_HOOK", "sleep 2; echo x > y", cwd=folder)
        with Load(havre, HOST).running() as load:
            sha = commit(folder, "into a full disk")
            havre.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder)
            filler = fill(havre.data)
            commit(folder, "onto a full disk")
            havre.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder, check=False)
            asked = load.answered
            until(lambda: load.answered > asked + 200, what="it is still asked")
            assert load.lost == [] and load.seen == {before["deployment"]}, "the old version serves alone"
            empty(filler)
            until(lambda: over(havre, folder, sha), what="the deployment has ended", limit_s=90)
            sha = commit(folder, "with room")
            havre.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder)
            until(lambda: serving(havre)["commit"] == sha, what="the next one serves", limit_s=90)
        assert load.lost == []
