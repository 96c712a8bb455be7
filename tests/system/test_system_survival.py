"""`kill -9` of the control plane at every step of a deploy, and a reboot."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.rig import Installation, Load, alive, commit, installation, until

HOST = "hello.havre.localhost"
STEPS = ("name", "fetch", "detect", "stack", "build", "boot", "switch", "retire")


@pytest.fixture(scope="module")
def havre() -> Iterator[Installation]:
    with installation() as made:
        made.up()
        folder = made.new_repository("hello")
        made.clever("create", "-t", "node", "hello", cwd=folder)
        made.clever("deploy", cwd=folder)
        yield made


def answer(havre: Installation) -> dict[str, str]:
    status, _, body = havre.get(HOST)
    assert status == 200, body
    found: dict[str, str] = json.loads(body)
    return found


@pytest.mark.parametrize("phase", ["begun", "ended"])
@pytest.mark.parametrize("step", STEPS)
def test_the_control_plane_killed_at_each_step(havre: Installation, step: str, phase: str) -> None:
    folder = havre.base / "hello"
    havre.kill_control_plane()
    havre.up(kill_at=f"apps.deploy/{step}/{phase}")
    pid = havre.control_plane_pid()
    sha = commit(folder, f"{step} {phase}")
    with Load(havre, HOST, clients=1).running() as load:
        havre.clever("deploy", "--exit-on", "deploy-start", "--quiet", cwd=folder, check=False)
        until(lambda: not alive(pid), what=f"the control plane died at {step}/{phase}", limit_s=60)
        before = load.answered
        until(lambda: load.answered > before + 5, what="the app serves without a control plane")
        havre.up()
        until(lambda: answer(havre)["commit"] == sha, what="the deploy was finished", limit_s=60)
    assert load.lost == []
    until(lambda: deployment_ok(havre, sha), what="the deployment is OK")
    assert havre.clever_json("status", cwd=folder)["status"] == "running"
    until(lambda: len(instances(havre)) == 1, what="only the new instance is left")


def deployment_ok(havre: Installation, sha: str) -> bool:
    with sqlite3.connect(havre.data / "havre.db", timeout=30) as conn:
        rows = conn.execute("select state from deployment where commit_id = ?", (sha,)).fetchall()
    return [state for (state,) in rows] == ["OK"]


def instances(havre: Installation) -> list[Path]:
    return [each for each in (havre.data / "units").iterdir() if unit_runs(each)]


def unit_runs(folder: Path) -> bool:
    handle = folder / "handle.json"
    return handle.exists() and not (folder / "exit.json").exists()


def test_all_processes_gone_and_back(havre: Installation) -> None:
    sha = answer(havre)["commit"]
    havre.kill_everything()
    assert havre.processes() == []
    havre.up()
    until(lambda: havre.get(HOST)[0] == 200, what="the app is back after a reboot", limit_s=60)
    assert answer(havre)["commit"] == sha
