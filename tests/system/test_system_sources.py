"""Pushes with both back ends of the stock command line and with git itself: what is taken, what is refused and why."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.rig import NODE_APP, Installation, commit, git, installation, until, write_files

HOST = "shop.havre.localhost"
MIB = 1024**2


@pytest.fixture(scope="module")
def havre() -> Iterator[Installation]:
    with installation(build={"repository_bytes": 6 * MIB}) as made:
        made.up()
        yield made


@pytest.fixture(scope="module")
def shop(havre: Installation) -> Path:
    """An app whose first push, by the JS back end, has a file that no compression makes small."""
    folder = havre.new_repository("shop", {**NODE_APP, ".gitignore": ".clever.json\n"})
    (folder / "noise").write_bytes(os.urandom(MIB + 12_345))
    commit(folder, "noise")
    havre.clever("create", "-t", "node", "shop", cwd=folder)
    deploy(havre, folder)
    return folder


def deploy(havre: Installation, folder: Path, *words: str, commit: str = "HEAD") -> None:
    """Push, and wait until it serves; less patiently than the command line, which looks every five seconds."""
    havre.clever("deploy", "--quiet", "--exit-on", "deploy-start", *words, cwd=folder)
    wanted = git(folder, "rev-parse", commit)
    until(lambda: serving(havre) == wanted, what=f"{commit} serves", limit_s=90)


def serving(havre: Installation) -> str:
    status, _, body = havre.get(HOST)
    return str(json.loads(body)["commit"]) if status == 200 else f"{status}"


def push(havre: Installation, folder: Path, *refs: str, repository: str = "") -> subprocess.CompletedProcess[str]:
    """git itself, with the token and its secret in the address."""
    env = havre.environment()
    url = json.loads((folder / ".clever.json").read_text())["apps"][0]["deploy_url"]
    url = url.replace("https://", f"https://{env['CLEVER_TOKEN']}:{env['CLEVER_SECRET']}@")
    url = f"{url.rpartition('/')[0]}/{repository}" if repository else url
    told = env | {"HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}
    command = ["git", "push", url, *refs]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=told, timeout=120)


def deployments(havre: Installation, folder: Path) -> dict[str, dict[str, str]]:
    """The newest deployment of each commit. `clever activity` leaves out those that were cancelled and followed."""
    app = json.loads((folder / ".clever.json").read_text())["apps"][0]["app_id"]
    url = f"{havre.environment()['API_HOST']}/v2/self/applications/{app}/deployments"
    rows = json.loads(havre.clever("curl", url, cwd=folder).stdout)
    return {each["commit"]: each for each in reversed(rows)}


def test_a_large_push_of_the_js_back_end_arrives_whole(havre: Installation, shop: Path) -> None:
    assert serving(havre) == git(shop, "rev-parse", "HEAD")


def test_an_older_branch_needs_force_and_a_tag_of_it_is_deployed_by_the_system_back_end(
    havre: Installation, shop: Path
) -> None:
    git(shop, "checkout", "-q", "-b", "older", "HEAD~1")
    (shop / "noise").write_bytes(os.urandom(MIB + 500_000))
    older = commit(shop, "another way")
    git(shop, "tag", "-a", "v1", "-m", "annotated")
    git(shop, "checkout", "-q", "master")
    refused = havre.clever("deploy", "--branch", "older", cwd=shop, check=False)
    assert refused.returncode == 1 and "not a simple fast-forward" in refused.stderr
    havre.clever("features", "enable", "system-git", cwd=shop)
    deploy(havre, shop, "--tag", "v1", "--force", commit=older)


def test_a_commit_that_force_left_behind_can_still_be_deployed(havre: Installation, shop: Path) -> None:
    before = git(shop, "rev-parse", "master")
    havre.clever("restart", "--commit", before[:10], "--quiet", "--exit-on", "deploy-start", cwd=shop)
    until(lambda: serving(havre) == before, what="the commit of before serves", limit_s=90)


def call_branch(havre: Installation, folder: Path, name: str) -> None:
    app = json.loads((folder / ".clever.json").read_text())["apps"][0]["app_id"]
    url = f"{havre.environment()['API_HOST']}/v2/self/applications/{app}/branch"
    said = ("-H", "content-type: application/json", "-d", json.dumps({"branch": name}))
    havre.clever("curl", "-X", "PUT", *said, url, cwd=folder)


def test_a_branch_of_another_name_is_deployed_and_the_command_line_goes_on(havre: Installation, shop: Path) -> None:
    call_branch(havre, shop, "main")
    (shop / "first").write_text("by its name\n")
    by_name = commit(shop, "by its name")
    assert push(havre, shop, "+HEAD:refs/heads/main").returncode == 0
    until(lambda: serving(havre) == by_name, what="what was pushed to main serves", limit_s=90)
    refused = push(havre, shop, "HEAD:refs/heads/other")
    assert "only refs/heads/main is deployed" in refused.stderr
    (shop / "second").write_text("by the command line\n")
    commit(shop, "by the command line")
    deploy(havre, shop)
    call_branch(havre, shop, "master")
    assert "only refs/heads/master is deployed" in push(havre, shop, "HEAD:refs/heads/main").stderr


@pytest.mark.parametrize("refs", ["HEAD:refs/heads/other", "HEAD:refs/tags/v2", ":refs/heads/master"])
def test_a_push_that_is_no_deploy_is_refused_with_what_would_be_one(havre: Installation, shop: Path, refs: str) -> None:
    refused = push(havre, shop, refs)
    assert refused.returncode != 0
    assert "[remote rejected]" in refused.stderr
    assert ("refs/heads/master cannot be deleted" if refs[0] == ":" else "only refs/heads/master is deployed") in (
        refused.stderr
    )


def test_a_push_to_somebody_elses_app_finds_nothing(havre: Installation, shop: Path) -> None:
    refused = push(havre, shop, "HEAD:refs/heads/master", repository="app_00000000-0000-4000-8000-000000000000.git")
    assert refused.returncode != 0 and "The application cannot be found" in refused.stderr


def test_what_does_not_fit_is_refused_and_every_client_says_why(havre: Installation, shop: Path) -> None:
    """Too much with what is there already, and too large by itself."""
    before = serving(havre)
    (shop / "noise").write_bytes(os.urandom(4 * MIB + 100_000))
    commit(shop, "more than there is room for")
    assert "more than the 6 MiB allowed" in push(havre, shop, "+HEAD:refs/heads/master").stderr
    by_system = havre.clever("deploy", "--force", cwd=shop, check=False)
    havre.clever("features", "disable", "system-git", cwd=shop)
    by_js = havre.clever("deploy", "--force", cwd=shop, check=False)
    assert (by_system.returncode, by_js.returncode) == (1, 1)
    assert "more than the 6 MiB allowed" in by_system.stderr
    assert "more than the 6 MiB allowed" in by_js.stderr
    (shop / "noise").write_bytes(os.urandom(7 * MIB))
    git(shop, "commit", "-q", "-a", "--amend", "-m", "too large")
    assert "larger than the 6 MiB that a repository may take" in push(havre, shop, "+HEAD:refs/heads/master").stderr
    git(shop, "reset", "-q", "--hard", before)
    assert serving(havre) == before


def test_a_newer_push_replaces_what_waits_and_with_cancel_on_push_what_is_under_way(
    havre: Installation, shop: Path
) -> None:
    havre.clever("env", "set", "CC_PRE_BUILD_HOOK", "sleep 600", cwd=shop)
    started = ("deploy", "--force", "--quiet", "--exit-on", "deploy-start")
    running = _deploy(havre, shop, 0, started)
    until(lambda: "> name" in _log(havre, shop, running), what="the first one is under way")
    waiting, newest = [_deploy(havre, shop, number, started) for number in (1, 2)]
    rows = deployments(havre, shop)
    assert [rows[each]["state"] for each in (running, waiting, newest)] == ["WIP", "CANCELLED", "WIP"]
    said = f"Deployment cancelled: superseded by the push of {newest[:8]}"
    until(lambda: said in _log(havre, shop, waiting), what="its log says why")
    havre.clever("env", "rm", "CC_PRE_BUILD_HOOK", cwd=shop)
    havre.clever("config", "set", "cancel-on-push", "true", cwd=shop)
    last = _deploy(havre, shop, 3, started)
    until(lambda: serving(havre) == last, what="the last push serves", limit_s=90)
    rows = deployments(havre, shop)
    assert [rows[each]["state"] for each in (running, newest)] == ["CANCELLED", "CANCELLED"]


def _deploy(havre: Installation, folder: Path, number: int, words: tuple[str, ...]) -> str:
    made = commit(folder, f"push {number}")
    havre.clever(*words, cwd=folder)
    return made


def _log(havre: Installation, folder: Path, commit: str) -> str:
    """Of the deployment of a commit."""
    deployment = deployments(havre, folder)[commit]["uuid"]
    return havre.clever("logs", "--deployment-id", deployment, "--since", "1h", "--until", "0s", cwd=folder).stdout


def test_a_restart_without_cache_builds_anew_and_one_with_it_does_not(havre: Installation, shop: Path) -> None:
    """The hook before the build runs all the same, on files as they were pushed."""
    env = 'CC_PRE_BUILD_HOOK="test ! -e built && echo hooked"\nCC_POST_BUILD_HOOK="date +%s%N > built"\n'
    havre.clever("env", "import", cwd=shop, stdin=env)
    server = (shop / "server.js").read_text()
    write_files(
        shop, {"server.js": server.replace('GREETING ?? "hello"', 'require("fs").readFileSync("built", "utf8")')}
    )
    commit(shop, "tells when it was built")
    deploy(havre, shop, "--force")
    first = answer(havre)
    havre.clever("restart", "--quiet", "--exit-on", "deploy-start", cwd=shop)
    until(lambda: answer(havre)["deployment"] != first["deployment"], what="the restart serves")
    assert answer(havre)["greeting"] == first["greeting"]
    words = ("logs", "--deployment-id", answer(havre)["deployment"], "--since", "1h", "--until", "0s")
    until(lambda: "hooked" in havre.clever(*words, cwd=shop).stdout, what="its log tells of the hook")
    assert "npm install" not in havre.clever(*words, cwd=shop).stdout
    havre.clever("restart", "--without-cache", "--quiet", "--exit-on", "deploy-start", cwd=shop)
    until(lambda: answer(havre)["greeting"] != first["greeting"], what="what was built anew serves")


def answer(havre: Installation) -> dict[str, str]:
    found: dict[str, str] = json.loads(havre.get(HOST)[2])
    return found
