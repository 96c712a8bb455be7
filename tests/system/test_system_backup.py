"""A backup of a platform that works, restored on an empty data folder: everything that was acknowledged is there."""

from __future__ import annotations

import json
import shutil
import ssl
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.room.edge_rig import Company
from tests.system.rig import AppConnection, Installation, Load, commit, git, installation, until, write_files

HOST, OWN = "hello.havre.localhost", "www.company.test"
KNOWN = {  # of the data directory: what comes along, and what is made anew or is no state of the control plane
    "havre.db", "credentials.json", "ssh_host_ed25519", "edge", "git", "known-hosts", "network",
    "releases", "cache", "units", "deployments", "hooks", "stacks", "status.json", "lock", "ca-bundle.pem",
    "root-etc", "clock.json", "havre.db-shm", "havre.db-wal", "logs.db", "logs.db-shm", "logs.db-wal", "havre.log", "havre.err",
}  # fmt: skip
KNOWN_EDGE = {  # beside what the keeper and its programs leave (caddy…, keeper…, tcpgate…)
    "ca", "secret", "certificates", "storage", "access.log", "config.json", "loaded.json", "xdg-data", "xdg-config", "ensure.lock",
}  # fmt: skip


@pytest.fixture
def old() -> Iterator[Installation]:
    with installation() as made:
        made.up()
        folder = made.new_repository("hello")
        made.clever("create", "-t", "node", "hello", cwd=folder)
        made.clever("env", "set", "GREETING", "served", cwd=folder)
        made.clever("domain", "add", OWN, cwd=folder)
        made.deploy(folder)
        yield made


@pytest.fixture
def new(old: Installation) -> Iterator[Installation]:
    """Another machine, as far as data goes; it takes the ports of the old one, which must be down."""
    base = Path(tempfile.mkdtemp(prefix="havre r-"))
    made = Installation(base)
    made.http_port, made.https_port, made.config = old.http_port, old.https_port, made.data / "havre.toml"
    try:
        yield made
    finally:
        try:
            if made.config.exists():
                made.down()
        finally:
            shutil.rmtree(base, ignore_errors=True)


def answer(havre: Installation) -> dict[str, Any]:
    status, _, body = havre.get(HOST)
    assert status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found


def activity(havre: Installation, folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = havre.clever_json("activity", cwd=folder)
    return found


@pytest.mark.parametrize("is_eventful", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_what_was_acknowledged_is_there_again_on_an_empty_machine(
    old: Installation, new: Installation, is_eventful: bool
) -> None:
    """eventful: what serves was left behind by a forced push that failed, and a push is under way."""
    folder, company = old.base / "hello", Company()
    app = json.loads((folder / ".clever.json").read_text())["apps"][0]["app_id"]
    served = answer(old)["commit"]
    chain, key = company.chain(OWN)
    write_files(old.base, {"chain.pem": chain, "key.pem": key})
    old.havre("certs", "add", str(old.base / "chain.pem"), str(old.base / "key.pem"))
    person = json.loads(old.havre("people", "add", "dev@example.test", "--json").stdout)
    organisation = old.havre("orgs", "create", "Acme").stdout.split()[0]
    old.havre("orgs", "invite", organisation, "dev@example.test", "--role", "DEVELOPER", check=False)
    history, last = [("OK", served)], served
    if is_eventful:
        history.insert(0, ("FAIL", broken_push(old, folder)))
    old.clever("env", "set", "GREETING", "not deployed yet", cwd=folder)
    if is_eventful:
        last = waiting_push(old, folder)
        history.insert(0, ("CANCELLED", last))
    members = api(old, f"/v2/organisations/{organisation}/members")
    audited = api(old, f"/v2/organisations/{organisation}/audit")

    archive = old.base / "backup.tar"
    with Load(old, HOST, clients=2).running() as load:
        said = old.havre("backup", str(archive)).stdout
    assert load.lost == [] and load.answered > 0, "a backup is not noticed"
    assert "repository   1 of 1" in said and said.splitlines()[-1].startswith("Backed up    ")
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    again = old.havre("backup", str(archive), check=False)
    assert again.returncode == 1 and "exists already" in again.stderr
    in_use = old.havre("restore", str(archive), check=False)
    assert in_use.returncode == 1 and "is not empty" in in_use.stderr
    authority = (old.data / "edge" / "ca" / "root.crt").read_bytes()
    edge = {each for each in names(old.data / "edge") if not each.startswith(("caddy", "keeper", "tcpgate"))}
    unknown = (names(old.data) - KNOWN) | (edge - KNOWN_EDGE)
    assert unknown == set(), "does this come along? (havre.kernel.backup.KEPT)"
    old.down()

    told = json.loads(new.havre("restore", str(archive), "--json").stdout)
    assert told["start"][-2:] == ["--config", str(new.config)] and told["schema"]["apps"] >= 4
    new.havre("up", "--detach")
    assert (new.data / "edge" / "ca" / "root.crt").read_bytes() == authority
    until(lambda: serves(new, served), what="the commit that served serves", limit_s=60)
    assert answer(new)["greeting"] == "served", "with the variables that it served with"
    if is_eventful:
        until(lambda: serves(new, last), what="the push that was under way is through as well", limit_s=90)
        assert answer(new)["greeting"] == "not deployed yet", "as it was when that was pushed"
    made = [(each["cause"], each["commit"]) for each in activity(new, folder) if each["cause"] != "Git"]
    assert made == [("Restored from a backup", each) for each in dict.fromkeys((served, last))]
    rows = [(each["state"], each["commit"]) for each in api(new, f"/v2/self/applications/{app}/deployments")]
    assert rows[len(made) :] == history
    assert 'GREETING="not deployed yet"' in new.clever("env", cwd=folder).stdout
    trust = ssl.create_default_context(cadata=company.trust)
    connection = AppConnection(OWN, new.https_port, trust)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200, "the uploaded certificate and the domain"
    connection.close()
    assert api(new, f"/v2/organisations/{organisation}/members") == members
    assert api(new, f"/v2/organisations/{organisation}/audit")[-len(audited) :] == audited
    own = new.environment() | {"CLEVER_TOKEN": person["token"], "CLEVER_SECRET": person["secret"]}
    assert "dev@example.test" in new.clever("profile", cwd=folder, environment=own).stdout
    clone = new.base / "clone"
    address = f"{new.environment()['API_HOST']}/git/{app}.git"
    subprocess.run(["git", "clone", "-q", address, str(clone)], check=True, env=new.environment() | secrets(new))
    assert git(clone, "rev-parse", "HEAD") == last
    sha = commit(folder, "after")
    new.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder)
    until(lambda: serves(new, sha), what="and it goes on", limit_s=60)


def names(folder: Path) -> set[str]:
    """What is in it, but for what takes a file's place in this moment."""
    return {each.name for each in folder.iterdir() if not each.name.endswith(".new")}


def serves(havre: Installation, sha: str) -> bool:
    status, _, body = havre.get(HOST)
    return status == 200 and json.loads(body)["commit"] == sha


def secrets(havre: Installation) -> dict[str, str]:
    """git, told the operator's credentials as `clever` tells them."""
    found = havre.environment()
    helper = f"!f() {{ echo username={found['CLEVER_TOKEN']}; echo password={found['CLEVER_SECRET']}; }}; f"
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "credential.helper", "GIT_CONFIG_VALUE_0": helper}


def api(havre: Installation, path: str) -> Any:
    command = ("curl", f"{havre.environment()['API_HOST']}{path}")
    return json.loads(havre.clever(*command, cwd=havre.base).stdout)


def broken_push(havre: Installation, folder: Path) -> str:
    """What serves is left behind by a forced push of a version that cannot be built; the commit that failed."""
    package = (folder / "package.json").read_text()
    git(folder, "checkout", "-q", "--orphan", "other")
    write_files(folder, {"package.json": "{ broken"})
    sha = commit(folder, "broken")
    git(folder, "branch", "-M", "master")
    done = havre.clever("deploy", "--force", cwd=folder, check=False)
    assert done.returncode != 0 and "package.json" in done.stdout + done.stderr, done.stdout + done.stderr
    write_files(folder, {"package.json": package})
    commit(folder, "mended")
    return sha


def waiting_push(havre: Installation, folder: Path) -> str:
    """A push that is acknowledged and whose build takes its time."""
    sha = commit(folder, "slow")
    havre.clever("env", "set", "CC_PRE_BUILD_HOOK", "sleep 6", cwd=folder)
    havre.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder)
    until(lambda: activity(havre, folder)[-1]["state"] == "WIP", what="it is under way")
    return sha
