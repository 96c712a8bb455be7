"""Everything of an installation is killed at once, again and again, under load and in the middle of whatever is under way.

Each time everything is back, what was acknowledged is there, and no answer ever comes from another app.
"""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.system.rig import Installation, Load, commit, installation, until

APPS = ("one", "two", "three")


@dataclass
class Acknowledged:
    """What the platform has said yes to: the newest value of a variable and the newest commit of each app."""

    values: dict[str, int] = field(default_factory=dict)
    commits: dict[str, set[str]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def havre() -> Iterator[Installation]:
    with installation() as made:
        made.up()
        for name in APPS:
            folder = made.new_repository(name)
            made.clever("create", "-t", "node", name, cwd=folder)
            made.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder)
        for name in APPS:
            until(lambda name=name: answers(made, name), what=f"{name} serves", limit_s=120)  # type: ignore[misc]
        yield made


def answers(havre: Installation, name: str) -> dict[str, Any] | None:
    try:
        status, _, body = havre.get(f"{name}.havre.localhost")
    except OSError:
        return None
    return json.loads(body) if status == 200 else None


def app_id(havre: Installation, name: str) -> str:
    found: str = json.loads((havre.base / name / ".clever.json").read_text())["apps"][0]["app_id"]
    return found


def write_on(havre: Installation, said: Acknowledged, stop: threading.Event) -> None:
    """A developer who sets a variable of each app and pushes to one, without a pause; failures are no yes."""
    number = 0
    while not stop.is_set():
        number += 1
        name = APPS[number % len(APPS)]
        folder = havre.base / name
        try:
            if havre.clever("env", "set", "COUNT", str(number), cwd=folder, check=False, limit_s=30).returncode == 0:
                said.values[name] = number
            if number % 4 == 0:
                sha = commit(folder, f"{number}")
                done = havre.clever(
                    "deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder, check=False, limit_s=60
                )
                if done.returncode == 0:
                    said.commits.setdefault(name, set()).add(sha)
        except subprocess.TimeoutExpired:
            continue


def hard_stop(havre: Installation, after_s: float) -> None:
    """Under load and while somebody works: everything is killed, and everything must be back."""
    said, stop = Acknowledged(), threading.Event()
    loads = [Load(havre, f"{name}.havre.localhost", clients=2, app=app_id(havre, name)) for name in APPS]
    with ExitStack() as stack:
        for each in loads:
            stack.enter_context(each.running())
        writer = threading.Thread(target=write_on, args=(havre, said, stop))
        writer.start()
        until(lambda: said.values, what="the first write is acknowledged")
        time.sleep(after_s)
        havre.kill_everything()
        stop.set()
        until(lambda: is_dead(havre), what="nothing of it is left")
        counts = [each.answered for each in loads]
        havre.up()
        writer.join(timeout=120)
        assert not writer.is_alive(), "the developer has stopped"
        for each, count in zip(loads, counts, strict=True):
            until(lambda e=each, c=count: e.answered > c + 5, what=f"{each.host} answers again", limit_s=120)  # type: ignore[misc]
    assert [line for each in loads for line in each.wrong] == []
    check(havre, said)


def is_dead(havre: Installation) -> bool:
    """What was being started while everything was killed is killed, too."""
    if havre.processes():
        havre.kill_everything()
    return not havre.processes()


def check(havre: Installation, said: Acknowledged) -> None:
    for name, value in said.values.items():
        shown = havre.clever("env", cwd=havre.base / name).stdout
        assert int(shown.split('COUNT="')[1].split('"')[0]) >= value, f"the variable of {name} was acknowledged"
    for name in APPS:
        until(lambda name=name: ended(havre, name), what=f"every deployment of {name} has ended", limit_s=120)  # type: ignore[misc]
        rows = deployments(havre, name)
        pushed = {each["commit"] for each in rows}
        assert said.commits.get(name, set()) <= pushed, f"a push to {name} was acknowledged"
        newest = next(each for each in rows if each["state"] == "OK")
        serves = {"app": app_id(havre, name), "commit": newest["commit"]}
        until(
            lambda name=name, serves=serves: serves.items() <= (answers(havre, name) or {}).items(),  # type: ignore[misc]
            what=f"{name} answers, and as its newest version",
        )
    until(lambda: len(running(havre)) == len(APPS), what="one instance of each app, and nothing else", limit_s=120)


def deployments(havre: Installation, name: str) -> list[dict[str, Any]]:
    url = f"{havre.environment()['API_HOST']}/v2/self/applications/{app_id(havre, name)}/deployments"
    found: list[dict[str, Any]] = json.loads(havre.clever("curl", url, cwd=havre.base).stdout)
    return found


def ended(havre: Installation, name: str) -> bool:
    return all(each["state"] != "WIP" for each in deployments(havre, name))


def running(havre: Installation) -> list[Path]:
    units = (havre.data / "units").iterdir()
    return [each for each in units if (each / "handle.json").exists() and not (each / "exit.json").exists()]


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(1, marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
        pytest.param(20, marks=[pytest.mark.soak, pytest.mark.timeout(2400)]),
    ],
)
def test_hard_stops_lose_nothing_and_nobody_answers_for_another(havre: Installation, count: int) -> None:
    chance = random.Random(5)
    for _ in range(count):
        hard_stop(havre, after_s=chance.uniform(0, 6))
