"""The main path with the stock command line, as a person types it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from tests.system.rig import Installation, commit, until, write_files


@pytest.fixture(scope="module")
def shop(havre: Installation) -> Path:
    """A repository that is deployed as the app `shop`."""
    folder = havre.new_repository("shop")
    havre.clever("create", "-t", "node", "shop", cwd=folder)
    out = havre.clever("deploy", cwd=folder).stdout
    assert "Access your application: https://shop.havre.localhost" in out
    return folder


def app_of(folder: Path) -> str:
    app: str = json.loads((folder / ".clever.json").read_text())["apps"][0]["app_id"]
    return app


def test_a_push_is_live_behind_tls(havre: Installation, shop: Path) -> None:
    status, _, body = havre.get("shop.havre.localhost")
    assert status == 200
    assert json.loads(body)["app"] == app_of(shop)


def test_open_and_profile(havre: Installation, shop: Path) -> None:
    assert havre.clever_json("profile", cwd=shop)["id"].startswith("user_")
    with tempfile.TemporaryDirectory(prefix="browser") as folder:
        browser, opened = Path(folder) / "browser", Path(folder) / "opened"
        browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
        browser.chmod(0o755)
        havre.clever("open", cwd=shop, environment=havre.environment() | {"BROWSER": str(browser)})
        until(opened.exists, what="the browser is called")
        until(lambda: opened.read_text().strip() == f"https://shop.havre.localhost:{havre.https_port}/", what="its URL")


def test_status_tells_what_runs(havre: Installation, shop: Path) -> None:
    seen = havre.clever_json("status", cwd=shop)
    assert seen["status"] == "running"
    assert "running" in havre.clever("status", cwd=shop).stdout


def test_the_output_of_the_app_is_in_the_logs(havre: Installation, shop: Path) -> None:
    marker = "asked to log"
    havre.get("shop.havre.localhost", "/log")

    def logged() -> bool:
        lines = havre.clever_json("logs", "--since", "1h", "--until", "0s", cwd=shop)
        return any(line["message"] == marker for line in lines)

    until(logged, what="the line of the app is in its log")
    human = havre.clever("logs", "--since", "1h", "--until", "0s", cwd=shop).stdout
    assert "listening soon" in human and marker in human


def test_access_logs_know_the_app(havre: Installation, shop: Path) -> None:
    havre.get("shop.havre.localhost", "/seen-by-the-access-log")

    def logged() -> bool:
        lines = havre.clever_json("accesslogs", "--since", "1h", "--until", "0s", cwd=shop)
        return any(line["http"]["request"]["path"] == "/seen-by-the-access-log" for line in lines)

    until(logged, what="the request is in the access log")


def test_variables(havre: Installation, shop: Path) -> None:
    havre.clever("env", "set", "GREETING", "bonjour", cwd=shop)
    havre.clever("env", "set", "OTHER", "x=y z", cwd=shop)
    listed = havre.clever_json("env", cwd=shop)
    assert {"name": "GREETING", "value": "bonjour"} in listed["env"]
    havre.clever("env", "rm", "OTHER", cwd=shop)
    assert "OTHER" not in havre.clever("env", cwd=shop).stdout
    refused = havre.clever("env", "set", "9bad", "x", cwd=shop, check=False)
    assert refused.returncode == 1
    havre.clever("restart", "--quiet", "--exit-on", "deploy-start", cwd=shop)
    havre.has_deployed(shop)
    assert json.loads(havre.get("shop.havre.localhost")[2])["greeting"] == "bonjour"


def test_domains(havre: Installation, shop: Path) -> None:
    havre.clever("domain", "add", "www.example.test", cwd=shop)
    assert "www.example.test" in havre.clever("domain", cwd=shop).stdout
    until(lambda: havre.get("www.example.test")[0] == 200, what="the added domain answers")
    havre.clever("domain", "favourite", "set", "www.example.test", cwd=shop)
    assert "www.example.test" in havre.clever("domain", "favourite", cwd=shop).stdout
    havre.clever("domain", "favourite", "unset", cwd=shop)
    havre.clever("domain", "rm", "www.example.test", cwd=shop)
    assert "www.example.test" not in havre.clever("domain", cwd=shop).stdout
    until(lambda: unknown(havre, "www.example.test"), what="the removed domain does not answer any more")


def unknown(havre: Installation, host: str) -> bool:
    try:
        return havre.get(host)[0] == 404
    except OSError:  # no certificate for a name that is nobody's
        return True


def test_scale_by_hand(havre: Installation, shop: Path) -> None:
    havre.clever("scale", "--instances", "2", "--flavor", "S", cwd=shop)

    def instances() -> set[str]:
        """Who answers one visitor who comes again and again: another after every fifty requests."""
        return {json.loads(havre.get("shop.havre.localhost")[2])["instance"] for _ in range(60)}

    until(lambda: len(instances()) == 2, what="two instances answer", limit_s=90)
    havre.clever("scale", "--min-instances", "1", "--max-instances", "1", cwd=shop)
    until(lambda: len(instances()) == 1, what="one instance answers", limit_s=90)


def test_activity_and_applications(havre: Installation, shop: Path) -> None:
    assert any(each["action"] == "DEPLOY" for each in havre.clever_json("activity", cwd=shop))
    assert "shop" in havre.clever("applications", "list", cwd=shop).stdout
    listed = havre.clever_json("applications", "list", cwd=shop)
    assert app_of(shop) in json.dumps(listed)


def test_link_and_unlink(havre: Installation, shop: Path) -> None:
    other = havre.new_repository("other-checkout")
    havre.clever("link", app_of(shop), cwd=other)
    assert app_of(other) == app_of(shop)
    havre.clever("unlink", "shop", cwd=other)


def test_a_broken_build_leaves_the_old_version_serving(havre: Installation, shop: Path) -> None:
    before = json.loads(havre.get("shop.havre.localhost")[2])["commit"]
    write_files(
        shop, {"package.json": '{"name": "x", "scripts": {"start": "node server.js", "postinstall": "exit 3"}}'}
    )
    commit(shop, "broken build")
    failed = havre.clever("deploy", cwd=shop, check=False)
    assert failed.returncode == 1 and "Deployment failed" in failed.stderr
    assert json.loads(havre.get("shop.havre.localhost")[2])["commit"] == before


def test_a_crash_at_boot_ends_with_its_last_lines(havre: Installation, shop: Path) -> None:
    before = json.loads(havre.get("shop.havre.localhost")[2])["commit"]
    write_files(shop, {"package.json": '{"name": "x", "scripts": {"start": "node crash.js"}}'})
    write_files(shop, {"crash.js": 'console.log("about to fall"); process.exit(4)'})
    commit(shop, "crash at boot")
    failed = havre.clever("deploy", cwd=shop, check=False)
    assert failed.returncode == 1
    assert "about to fall" in failed.stdout
    assert json.loads(havre.get("shop.havre.localhost")[2])["commit"] == before


def test_cancel_deploy(havre: Installation, shop: Path) -> None:
    before = json.loads(havre.get("shop.havre.localhost")[2])["commit"]
    slow = {"start": "node server.js", "postinstall": "sleep 600"}
    write_files(shop, {"package.json": json.dumps({"name": "x", "scripts": slow})})
    commit(shop, "slow build")
    havre.clever("deploy", "--exit-on", "deploy-start", cwd=shop)
    havre.clever("cancel-deploy", cwd=shop)
    until(lambda: havre.clever_json("activity", cwd=shop)[-1]["state"] == "CANCELLED", what="it is cancelled")
    assert json.loads(havre.get("shop.havre.localhost")[2])["commit"] == before


def test_other_peoples_ids_look_like_unknown_ids(havre: Installation, shop: Path) -> None:
    unknown_id = "app_00000000-0000-4000-8000-000000000000"
    stranger = json.loads(havre.havre("people", "add", "stranger@example.test", "--json").stdout)
    env = havre.environment() | {"CLEVER_TOKEN": stranger["token"], "CLEVER_SECRET": stranger["secret"]}
    answers = []
    for app in (app_of(shop), unknown_id):
        done = havre.clever("curl", f"{env['API_HOST']}/v2/self/applications/{app}", cwd=havre.base, environment=env)
        answers.append(done.stdout)
    assert answers[0] == answers[1] and "4004" in answers[0]


def test_stop_and_delete(havre: Installation, shop: Path) -> None:
    havre.clever("stop", cwd=shop)
    until(lambda: havre.clever_json("status", cwd=shop)["status"] == "stopped", what="it is stopped")
    until(lambda: havre.get("shop.havre.localhost")[0] == 503, what="it says that it is stopped")
    havre.clever("delete", "--yes", cwd=shop)
    until(lambda: unknown(havre, "shop.havre.localhost"), what="the deleted app is unknown")
    until(lambda: not list((havre.data / "git").iterdir()), what="its repository is gone")
