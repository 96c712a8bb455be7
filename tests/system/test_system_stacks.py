"""`havre stacks` on a running installation: an app moves to today's packages while it is asked without a pause."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from havre.drivers import debian
from tests.system.rig import Installation, Load, installation, until

pytestmark = pytest.mark.skipif(bool(debian.missing()), reason="this machine has no apt")
HOST = "hello.havre.localhost"
OLD = "stack_00000000000000aa"
TREES = Path(sys.prefix) / "share" / "havre" / "stacks" / "trees"


@pytest.fixture(scope="module")
def havre() -> Iterator[Installation]:
    with installation() as made:
        made.up()
        folder = made.new_repository("hello")
        made.clever("create", "-t", "node", "hello", cwd=folder)
        made.deploy(folder)
        try:
            yield made
        finally:
            shutil.rmtree(TREES / OLD, ignore_errors=True)


def stack_of(havre: Installation, app: str) -> dict[str, Any]:
    found = json.loads(havre.havre("stacks", "list", "--json").stdout)
    assert found["available"]
    one: dict[str, Any] = next(each for each in found["stacks"] if app in [user["name"] for user in each["apps"]])
    return one


def test_a_deployed_app_runs_on_a_stack_whose_packages_can_be_seen(havre: Installation) -> None:
    stack = stack_of(havre, "hello")
    assert stack["needed"] and stack["packageCount"] > 20
    shown = havre.havre("stacks", "show", stack["id"]).stdout
    assert "  bash " in shown and "  ca-certificates " in shown and "gcc-12 " not in shown
    said = havre.havre("stacks", "upgrade", "hello").stdout
    assert said == f"hello: stays on {stack['id']}: nothing is newer\n"
    assert "no stack" in havre.havre("stacks", "show", "stack_ffffffffffffffff", check=False).stderr


def test_an_app_moves_to_todays_packages_and_no_request_is_lost(havre: Installation) -> None:
    today = stack_of(havre, "hello")["id"]
    was_deployed_a_month_ago(havre, today)
    assert stack_of(havre, "hello")["id"] == OLD
    with Load(havre, HOST, clients=2).running() as load:
        until(lambda: load.seen, what="it is asked")
        said = havre.havre("stacks", "upgrade", "--all").stdout
        until(lambda: len(load.seen) > 1, what="the new instance answers")
    assert load.lost == []
    assert said.splitlines()[-1] == f"hello: serves on {today}"
    assert "bash: 1.0 -> " in said, "what changes is told"
    last = havre.clever_json("activity", cwd=havre.base / "hello")[-1]
    assert (last["cause"], last["state"]) == ("Stack upgrade", "OK")
    log = (havre.data / "deployments" / last["uuid"] / "deploy.log").read_text()
    assert "Using the build of deployment_" in log and f"Stack of the app: {today}" in log
    assert stack_of(havre, "hello")["id"] == today


def was_deployed_a_month_ago(havre: Installation, today: str) -> None:
    """The app's instance and release are on a stack that is as today's was before bash was updated."""
    havre.havre("down", "--control-plane")
    shutil.rmtree(TREES / OLD, ignore_errors=True)
    shutil.copytree(TREES / today, TREES / OLD, symlinks=True, copy_function=os.link)
    record = json.loads((TREES / OLD / "stack.json").read_text())
    for each in record["packages"]:
        each["version"] = "1.0" if each["name"] == "bash" else each["version"]
    (TREES / OLD / "stack.json").unlink()  # the same file as today's
    (TREES / OLD / "stack.json").write_text(json.dumps(record))
    with sqlite3.connect(havre.data / "havre.db") as conn:
        conn.execute("update instance set stack = ?", (OLD,))
        conn.execute("update app_release set stack = ?", (OLD,))
    havre.up()
