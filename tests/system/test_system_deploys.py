"""Deploys one after the other while the app is asked without a pause."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.system.rig import Installation, Load, commit, installation, until

HOST = "hello.havre.localhost"


@pytest.fixture(scope="module")
def havre() -> Iterator[Installation]:
    with installation() as made:
        made.up()
        folder = made.new_repository("hello")
        made.clever("create", "-t", "node", "hello", cwd=folder)
        made.deploy(folder)
        yield made


def commit_served(havre: Installation) -> str:
    status, _, body = havre.get(HOST)
    assert status == 200, body
    return str(json.loads(body)["commit"])


@pytest.mark.parametrize("count", [5, pytest.param(30, marks=pytest.mark.soak)])
def test_deploys_under_load_lose_nothing(havre: Installation, count: int) -> None:
    folder = havre.base / "hello"
    with Load(havre, HOST, clients=4).running() as load:
        for number in range(count):
            sha = commit(folder, f"deploy {number}")
            havre.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder)
            until(lambda sha=sha: commit_served(havre) == sha, what=f"deploy {number} serves")  # type: ignore[misc]
    assert load.lost == []
    assert load.answered > 50
    until(lambda: len(list((havre.data / "releases").glob("*/*"))) <= 4, what="old releases are collected")
