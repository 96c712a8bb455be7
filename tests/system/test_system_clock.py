"""The control plane's clock jumps, ahead and back, and it goes on: it heals and deploys, and visitors notice nothing.

Its process alone has the other time; visitors, and what a certificate is worth to them, have the right one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.rig import Installation, Load, commit, installation_of, until

HOST = "hello.havre.localhost"
DAY_S = 86_400
APPS = {"health_timeout_s": 30.0, "drain_s": 5.0, "grace_s": 2.0, "health_every_s": 0.5}
OTHER_TIME = """
import os, time
_real = time.time_ns
def time_ns():
    try:
        with open(os.environ["HAVRE_TRIAL_CLOCK"]) as file: return _real() + int(file.read() or 0) * 10**9
    except (OSError, ValueError): return _real()
time.time_ns = time_ns
time.time = lambda: time_ns() / 1e9
"""


class Jumping(Installation):
    """Its control plane has the clock of a file: seconds ahead of the machine's."""

    def plain_environment(self) -> dict[str, str]:
        place = self.base / "clock"
        place.mkdir(exist_ok=True)
        (place / "sitecustomize.py").write_text(OTHER_TIME)
        return super().plain_environment() | {"PYTHONPATH": str(place), "HAVRE_TRIAL_CLOCK": str(place / "ahead")}

    def jump(self, ahead_s: int) -> None:
        fresh = self.base / "clock" / "ahead.new"
        fresh.write_text(str(ahead_s))
        fresh.replace(self.base / "clock" / "ahead")


FIRST = "asked to log/first"
SPAN = ("--since", "1h", "--until", "0s", "--search", FIRST)


@pytest.fixture(scope="module")
def havre() -> Iterator[Jumping]:
    with installation_of(Jumping, apps=APPS) as made:
        made.up()
        folder = made.new_repository("hello")
        made.clever("create", "-t", "node", "hello", cwd=folder)
        made.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder)
        until(lambda: said(made), what="it serves")
        made.get(HOST, "/log/first")
        until(lambda: FIRST in made.clever("logs", *SPAN, cwd=folder).stdout, what="it is logged")
        yield made


def said(havre: Installation) -> dict[str, Any] | None:
    with contextlib.suppress(OSError):
        status, _, body = havre.get(HOST)
        return json.loads(body) if status == 200 else None
    return None


def app_id(havre: Installation) -> str:
    found: str = json.loads((havre.base / "hello" / ".clever.json").read_text())["apps"][0]["app_id"]
    return found


def push(havre: Installation) -> str:
    """By git alone: the signature of an API call holds for a few minutes of the server's time."""
    folder, found = havre.base / "hello", havre.environment()
    sha = commit(folder, "again")
    helper = f"!f() {{ echo username={found['CLEVER_TOKEN']}; echo password={found['CLEVER_SECRET']}; }}; f"
    address = f"{found['API_HOST']}/git/{app_id(havre)}.git"
    argv = ["git", "-c", f"credential.helper={helper}", "push", "-q", address, "HEAD:refs/heads/master"]
    subprocess.run(argv, cwd=folder, env=found, check=True, capture_output=True, timeout=120)
    return sha


def state(havre: Installation, sha: str) -> str:
    with sqlite3.connect(havre.data / "havre.db", timeout=30) as conn:
        row = conn.execute("select state from deployment where commit_id = ? order by number desc", (sha,)).fetchone()
    return str(row[0]) if row else ""


def crash(havre: Installation) -> None:
    before = said(havre)
    assert before is not None
    pid = json.loads((havre.data / "units" / before["instance"] / "handle.json").read_text())["pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: (now := said(havre)) and now["instance"] != before["instance"], what="another takes its place")


OTHERS = (400 * DAY_S, -400 * DAY_S)


@pytest.mark.parametrize(  # ten years and a week: whatever was made with an end has ended
    "ahead_s", [3660 * DAY_S, 0, *(pytest.param(each, marks=pytest.mark.soak) for each in OTHERS)]
)
def test_a_clock_that_jumps_stops_nothing_and_loses_nothing(havre: Jumping, ahead_s: int) -> None:
    folder = havre.base / "hello"
    with Load(havre, HOST, clients=1, app=app_id(havre)).running() as load:
        until(lambda: load.answered > 10, what="it is asked")
        havre.jump(ahead_s)
        sha = push(havre)
        until(lambda: state(havre, sha) == "OK", what="a new version is deployed", limit_s=90)
        until(lambda: (now := said(havre)) and now["commit"] == sha, what="it answers")
        havre.kill_control_plane()
        havre.up()
        until(lambda: all(not each["error"] for each in havre.status()["rooms"]), what="every room is well")
    assert load.lost == [] and load.wrong == []
    crash(havre)
    havre.jump(0)
    until(lambda: FIRST in havre.clever("logs", *SPAN, cwd=folder).stdout, what="what it said first is still there")
