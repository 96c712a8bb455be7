"""`kill -9` of the control plane at every step of a deploy, and a reboot."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
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
        made.deploy(folder)
        yield made


def answer(havre: Installation) -> dict[str, str]:
    status, _, body = havre.get(HOST)
    assert status == 200, body
    found: dict[str, str] = json.loads(body)
    return found


@pytest.mark.parametrize("phase", ["begun", pytest.param("ended", marks=pytest.mark.soak)])
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
    until(
        lambda: nothing_is_under_way(havre), what="the operation ended"
    )  # or the next trial would kill this one again


def deployment_ok(havre: Installation, sha: str) -> bool:
    with sqlite3.connect(havre.data / "havre.db", timeout=30) as conn:
        rows = conn.execute("select state from deployment where commit_id = ?", (sha,)).fetchall()
    return [state for (state,) in rows] == ["OK"]


def nothing_is_under_way(havre: Installation) -> bool:
    with sqlite3.connect(havre.data / "havre.db", timeout=30) as conn:
        (count,) = conn.execute("select count(*) from op where status in ('running', 'undoing')").fetchone()
    return bool(count == 0)


def instances(havre: Installation) -> list[Path]:
    return [each for each in (havre.data / "units").iterdir() if unit_runs(each)]


def unit_runs(folder: Path) -> bool:
    handle = folder / "handle.json"
    return handle.exists() and not (folder / "exit.json").exists()


@pytest.mark.soak
def test_no_line_is_lost_or_doubled_when_whoever_keeps_them_is_killed(havre: Installation) -> None:
    """The control plane takes lines of apps and of the edge: killed again and again while an app speaks."""
    folder, stop = havre.base / "hello", threading.Event()
    told: list[int] = []

    def speak() -> None:
        while not stop.is_set():
            status, _, _ = havre.get(HOST, f"/log/{len(told)}/")
            assert status == 200
            told.append(len(told))

    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        for _ in range(3):
            count = len(told)
            until(lambda c=count: len(told) > c + 15, what="the app speaks")  # type: ignore[misc]
            havre.kill_control_plane()
            until(lambda c=count: len(told) > c + 30, what="the app speaks to nobody")  # type: ignore[misc]
            havre.up()
    finally:
        stop.set()
        speaker.join(timeout=60)
    for command, marked in (("logs", "asked to log/{}/"), ("accesslogs", "/log/{}/")):

        def kept(command: str = command, marked: str = marked) -> list[int]:
            said = havre.clever(command, "--since", "1h", "--until", "0s", cwd=folder).stdout
            return [int(each) for each in re.findall(marked.replace("{}", "([0-9]+)"), said)]

        until(lambda: len(kept()) >= len(told), what=f"everything is in {command}", limit_s=60)
        assert kept() == told, command


def test_all_processes_gone_and_back(havre: Installation) -> None:
    sha = answer(havre)["commit"]
    havre.kill_everything()
    until(lambda: not havre.processes(), what="nothing of it is left", limit_s=20)
    havre.up()
    until(lambda: havre.get(HOST)[0] == 200, what="the app is back after a reboot", limit_s=60)
    assert answer(havre)["commit"] == sha
