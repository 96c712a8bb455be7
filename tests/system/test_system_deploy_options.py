"""`create`, `deploy` and `activity` with each of their options, on an app of an organisation."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.rig import NODE_APP, Installation, commit, git, installation, until, write_files

HOST = "stall.havre.localhost"
QUICK = ("--quiet", "--exit-on", "deploy-start")


@pytest.fixture(scope="module")
def havre() -> Iterator[Installation]:
    with installation() as made:
        made.up()
        said = json.dumps({"name": "Market", "description": ""})
        api = made.environment()["API_HOST"]
        headers = ("-H", "content-type: application/json")
        made.clever("curl", "-X", "POST", *headers, "-d", said, f"{api}/v2/organisations", cwd=made.base)
        yield made


@pytest.fixture(scope="module")
def stall(havre: Installation) -> Path:
    folder = havre.new_repository("stall", {**NODE_APP, ".gitignore": ".clever.json\n"})
    options = ("--alias", "front", "--org", "Market", "--region", "par", "-F", "json")
    said = json.loads(havre.clever("create", "-t", "node", *options, "stall", cwd=folder).stdout)
    known = json.loads((folder / ".clever.json").read_text())["apps"]
    [known] = json.loads((folder / ".clever.json").read_text())["apps"]
    assert (known["alias"], known["app_id"]) == ("front", said["id"]) and known["org_id"].startswith("orga_")
    shown = havre.clever("deploy", "--alias", "front", cwd=folder).stdout
    assert "listening soon" in shown and f"https://{HOST}" in shown
    return folder


def rows(havre: Installation, folder: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = havre.clever_json("activity", cwd=folder)
    return found


def served(havre: Installation) -> str:
    return str(json.loads(havre.get(HOST)[2])["commit"])


def ended(havre: Installation, folder: Path, count: int) -> list[dict[str, str]]:
    """The activity, once it has so many rows and nothing is under way."""
    found: list[dict[str, str]] = []

    def all_ended() -> bool:
        found[:] = rows(havre, folder)
        return len(found) == count and all(each["state"] in ("OK", "FAIL", "CANCELLED") for each in found)

    until(all_ended, what=f"{count} deployments ended", limit_s=90)
    return found


def test_the_same_commit_again_is_what_the_policy_says(havre: Installation, stall: Path) -> None:
    before = len(rows(havre, stall))
    refused = havre.clever("deploy", cwd=stall, check=False)
    assert refused.returncode == 1 and "up-to-date" in refused.stderr + refused.stdout
    said = havre.clever("deploy", "--same-commit-policy", "ignore", cwd=stall)
    assert "up-to-date" in said.stdout + said.stderr
    assert len(rows(havre, stall)) == before, "neither of them began a deployment"
    for number, policy in enumerate(("restart", "rebuild"), 1):
        havre.clever("deploy", "--same-commit-policy", policy, *QUICK, cwd=stall)
        assert ended(havre, stall, before + number)[-1]["state"] == "OK"


def test_a_branch_and_a_tag_are_deployed_by_name(havre: Installation, stall: Path) -> None:
    git(stall, "switch", "-q", "-c", "season")
    write_files(stall, {"season.txt": "autumn"})
    commit(stall, "autumn")
    season = git(stall, "rev-parse", "HEAD")
    git(stall, "tag", "-a", "v2", "-m", "two")
    git(stall, "switch", "-q", "master")
    refused = havre.clever("deploy", "--branch", "winter", cwd=stall, check=False)
    assert refused.returncode == 1 and "winter" in refused.stderr + refused.stdout
    havre.clever("deploy", "--branch", "season", *QUICK, cwd=stall)
    until(lambda: served(havre) == season, what="the branch serves", limit_s=90)
    write_files(stall, {"other.txt": "x"})
    commit(stall, "beside")
    refused = havre.clever("deploy", *QUICK, cwd=stall, check=False)
    assert refused.returncode == 1 and "fast-forward" in refused.stderr + refused.stdout
    havre.clever("deploy", "--force", *QUICK, cwd=stall)
    until(lambda: served(havre) == git(stall, "rev-parse", "HEAD"), what="what was forced serves", limit_s=90)
    havre.clever("deploy", "--tag", "v2", "--force", *QUICK, cwd=stall)
    until(lambda: served(havre) == season, what="the tag serves", limit_s=90)


@contextmanager
def following(havre: Installation, folder: Path, *words: str) -> Iterator[list[str]]:
    """A command that does not end by itself, and the lines that it has said so far."""
    process = subprocess.Popen(
        ["clever", *words], cwd=folder, env=havre.environment(), text=True, bufsize=1,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    lines: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")))  # type: ignore[union-attr]
    reader.start()
    try:
        yield lines
        assert process.poll() is None, "".join(lines)
    finally:
        process.kill()
        process.wait()
        reader.join()


def test_activity_follows_and_a_deploy_goes_on_with_the_logs(havre: Installation, stall: Path) -> None:
    until(lambda: all(each["state"] != "WIP" for each in rows(havre, stall)), what="nothing is under way")
    commit(stall, "once more")
    with following(havre, stall, "activity", "--follow") as activity:
        until(lambda: any("DEPLOY" in each for each in activity), what="what there was is listed")
        with following(havre, stall, "deploy", "--force", "--exit-on", "never") as deploy:
            until(lambda: any("listening soon" in each for each in deploy), what="the app's own lines", limit_s=90)
            head = git(stall, "rev-parse", "HEAD")
            until(lambda: served(havre) == head, what="it serves", limit_s=90)
            seen = lambda state: [each for each in activity if state in each and head[:7] in each]  # noqa: E731
            until(lambda: seen("OK"), what="the activity tells of its end", limit_s=90)
            havre.get(HOST, "/log")
            until(lambda: any("asked to log" in each for each in deploy), what="the deploy still follows the app's log")


def build_flavor(havre: Installation, folder: Path) -> str | None:
    status = havre.clever_json("status", cwd=folder)
    return str(status["buildFlavor"]) if status["separateBuild"] else None


def test_a_build_has_the_size_that_its_owner_gives_it(havre: Installation, stall: Path) -> None:
    until(lambda: all(each["state"] != "WIP" for each in rows(havre, stall)), what="nothing is under way")
    greedy = "node -e 'for (let n = 0, kept = []; n < 30; n++) kept.push(Buffer.alloc(1 << 24, 1))'"  # 480 MiB
    havre.clever("env", "set", "CC_POST_BUILD_HOOK", greedy, cwd=stall)
    serving = served(havre)
    havre.clever("scale", "--build-flavor", "pico", cwd=stall)
    assert build_flavor(havre, stall) == "pico"
    commit(stall, "greedy")
    refused = havre.clever("deploy", "--force", cwd=stall, check=False)
    said = refused.stdout + refused.stderr
    assert refused.returncode == 1 and "256 MiB; clever scale --build-flavor nano gives more" in said, said
    assert served(havre) == serving, "what served goes on serving"
    havre.clever("scale", "--build-flavor", "XS", cwd=stall)
    havre.clever("restart", "--commit", git(stall, "rev-parse", "HEAD"), *QUICK, cwd=stall)
    until(lambda: served(havre) == git(stall, "rev-parse", "HEAD"), what="it fits into a larger build", limit_s=90)
    havre.clever("scale", "--build-flavor", "disabled", cwd=stall)
    assert build_flavor(havre, stall) is None
