"""A hundred deployments in a row while requests and websockets come without a pause."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.system.rig import Installation, Load, commit, installation, until
from tests.system.websocket_rig import ECHO_APP, Visitors

HOST = "echo.havre.localhost"
APPS = {"health_timeout_s": 60.0, "drain_s": 3.0, "grace_s": 3.0}


@dataclass
class Seen:
    answered: int
    lost: list[str]
    said: int
    sent_away: int
    cut: list[str]
    releases: int
    mib: float


def deploy_on(havre: Installation, count: int) -> Seen:
    """Deploy the echo app `count` times under load; what visitors saw, and what is left on the disk."""
    folder = havre.base / "echo"
    with Load(havre, HOST, clients=3).running() as load, Visitors(havre, HOST).running() as visitors:
        until(lambda: visitors.said > 10 and load.answered > 10, what="visitors are there")
        for number in range(count):
            sha = commit(folder, f"deploy {number}")
            havre.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder)
            until(lambda sha=sha: serves(havre, sha), what=f"deploy {number} serves", limit_s=90)  # type: ignore[misc]
        until(lambda: len(units(havre)) == 1, what="the last version is alone", limit_s=60)
    until(lambda: len(releases(havre)) <= 3, what="old releases are collected", limit_s=90)
    folders = [each for name in ("releases", "deployments", "cache", "git") for each in (havre.data / name).rglob("*")]
    mib = sum(each.lstat().st_blocks * 512 for each in folders) / 1024**2
    left = len(releases(havre))
    return Seen(load.answered, load.lost, visitors.said, visitors.sent_away, visitors.cut, left, mib)


def serves(havre: Installation, sha: str) -> bool:
    status, _, body = havre.get(HOST)
    return status == 200 and json.loads(body)["commit"] == sha


def releases(havre: Installation) -> list[object]:
    return list((havre.data / "releases").glob("*/*"))


def units(havre: Installation) -> list[object]:
    return [each for each in (havre.data / "units").iterdir() if not (each / "exit.json").exists()]


def open_echo(havre: Installation) -> None:
    folder = havre.new_repository("echo", ECHO_APP)
    havre.clever("create", "-t", "node", "echo", cwd=folder)
    havre.deploy(folder)


@pytest.fixture(scope="module")
def havre() -> Iterator[Installation]:
    with installation(apps=APPS) as made:
        made.up()
        open_echo(made)
        yield made


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_deployments_lose_no_request_and_cut_no_websocket(havre: Installation) -> None:
    seen = deploy_on(havre, 100)
    assert seen.lost == [] and seen.cut == []
    assert seen.answered > 1000 and seen.said > 1000 and seen.sent_away > 50
    assert seen.releases <= 3 and seen.mib < 100, "the disk is bounded"
