"""Domains, certificates, TCP redirections and the edge itself, as the stock command line and visitors meet them."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.driver.dns_rig import NameServer, name_server
from tests.room.edge_rig import Company
from tests.system.rig import AppConnection, Installation, Load, alive, commit, installation, until

FILES = {
    "package.json": json.dumps({"name": "hello", "version": "1.0.0", "scripts": {"start": "node server.js"}}),
    "server.js": """
const http = require("node:http"), net = require("node:net")
const { CC_DEPLOYMENT_ID, INSTANCE_ID, INSTANCE_NUMBER } = process.env
const server = http.createServer((request, response) => {
  const answer = () => response.end(JSON.stringify({ deployment: CC_DEPLOYMENT_ID, instance: INSTANCE_ID,
    number: INSTANCE_NUMBER, url: request.url, forwarded: request.headers["x-forwarded-for"] }))
  if (request.url === "/slow") setTimeout(answer, 1500); else answer()
})
const echo = net.createServer((socket) => {
  socket.on("error", () => {})
  socket.on("data", (data) => socket.write(`${INSTANCE_NUMBER}:${data}`))
})
process.on("SIGTERM", () => { echo.close(); server.close(() => process.exit(0)) })
echo.listen(4040, "0.0.0.0")
server.listen(8080, "0.0.0.0")
""",
}
HOST = "hello.havre.localhost"


@pytest.fixture(scope="module")
def server() -> Iterator[NameServer]:
    with name_server() as made:
        yield made


@pytest.fixture(scope="module")
def havre(server: NameServer) -> Iterator[Installation]:
    with installation(edge={"resolver": server.address, "bind": "127.0.0.1,::1"}) as made:
        made.up()
        folder = made.new_repository("hello", FILES)
        made.clever("create", "-t", "node", "hello", cwd=folder)
        made.clever("scale", "--instances", "2", cwd=folder)
        made.clever("config", "set", "sticky-sessions", "true", cwd=folder)
        made.deploy(folder)
        yield made


@pytest.fixture
def folder(havre: Installation) -> Path:
    return havre.base / "hello"


def ask(havre: Installation, host: str = HOST, path: str = "/", **headers: str) -> dict[str, Any]:
    status, got, body = havre.get(host, path, **headers)
    assert status == 200, (status, body)
    found: dict[str, Any] = json.loads(body)
    return found | {"set-cookie": got.get("Set-Cookie", "")}


def say(port: int, text: str, host: str = "127.0.0.1") -> str:
    with socket.create_connection((host, port), timeout=20) as client:
        client.sendall(text.encode())
        return client.recv(4096).decode()


def test_a_new_app_has_its_domain_at_once_and_answers_cleanly_before_it_runs(havre: Installation) -> None:
    folder = havre.new_repository("young", FILES)
    havre.clever("create", "-t", "node", "young", cwd=folder)
    status, headers, _ = havre.get("young.havre.localhost")
    assert (status, headers["Retry-After"]) == (503, "5")
    assert havre.get("nobody.havre.localhost")[0] == 404
    havre.clever("delete", "--yes", cwd=folder)
    until(lambda: havre.get("young.havre.localhost")[0] == 404, what="a deleted app is unknown")


def test_domains_with_paths_and_wildcards_are_added_shown_and_removed(havre: Installation, folder: Path) -> None:
    for fqdn in ("www.shop.test", "www.shop.test/api", "*.wild.test"):
        havre.clever("domain", "add", fqdn, cwd=folder)
    assert ask(havre, "www.shop.test", "/api/x")["url"] == "/api/x"
    assert ask(havre, "anything.wild.test")["instance"]
    listed = havre.clever("domain", cwd=folder).stdout
    assert f"www.shop.test:{havre.https_port}/api" in listed and f"*.wild.test:{havre.https_port}/" in listed
    for fqdn in ("www.shop.test", "www.shop.test/api", "*.wild.test"):
        havre.clever("domain", "rm", fqdn, cwd=folder)
    with pytest.raises(ssl.SSLError):
        havre.get("anything.wild.test")


def test_a_domain_of_another_organisation_is_had_by_who_proves_it(
    havre: Installation, folder: Path, server: NameServer
) -> None:
    havre.clever("domain", "add", "www.taken.test", cwd=folder)
    made = json.loads(havre.havre("people", "add", "other@example.org", "--json").stdout)
    other = havre.environment() | {"CLEVER_TOKEN": made["token"], "CLEVER_SECRET": made["secret"]}
    other["CONFIGURATION_FILE"] = str(havre.base / "other.json")
    place = havre.new_repository("other", FILES)
    havre.clever("create", "-t", "node", "other", cwd=place, environment=other)
    refused = havre.clever("domain", "add", "www.taken.test", cwd=place, environment=other, check=False)
    assert refused.returncode == 1 and "is already taken by another application" in refused.stderr
    words = refused.stderr.split()
    name, text = words[words.index("record") + 1], next(word for word in words if word.startswith("havre-proof="))
    assert name == "_havre-challenge.www.taken.test"
    server.texts["_havre-challenge.taken.test"] = ["something else", text]
    havre.clever("domain", "add", "www.taken.test", cwd=place, environment=other)
    assert havre.get("www.taken.test")[0] == 503, "it leads to the app of the other, which does not run"
    assert "www.taken.test" not in havre.clever("domain", cwd=folder).stdout
    again = havre.clever("domain", "add", "www.taken.test", cwd=folder, check=False)
    assert again.returncode == 1, "the record proves the one who asked, nobody else"
    havre.clever("delete", "--yes", cwd=place, environment=other)


def test_an_own_certificate_is_uploaded_shown_and_removed(havre: Installation, folder: Path) -> None:
    company = Company()
    havre.clever("domain", "add", "www.company.test", cwd=folder)
    chain, key = company.chain("www.company.test")
    files = {name: havre.base / name for name in ("chain.pem", "key.pem")}
    files["chain.pem"].write_text(chain)
    files["key.pem"].write_text(key)
    wrong = havre.havre("certs", "add", str(files["chain.pem"]), str(files["chain.pem"]), check=False)
    assert wrong.returncode == 1 and "no private key" in wrong.stderr
    said = havre.havre("certs", "add", str(files["chain.pem"]), str(files["key.pem"])).stdout
    assert "for www.company.test" in said and "not among this machine's" in said
    trust = ssl.create_default_context(cadata=company.trust)
    connection = AppConnection("www.company.test", havre.https_port, trust)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200
    connection.close()
    (found,) = [
        each for each in json.loads(havre.havre("certs", "list", "--json").stdout) if each["kind"] == "uploaded"
    ]
    assert found["names"] == ["www.company.test"] and found["domains"] == ["www.company.test"]
    assert key.splitlines()[1] not in (havre.data / "havre.log").read_text()
    havre.havre("certs", "remove", found["id"])
    assert ask(havre, "www.company.test")["instance"], "the internal authority's again"
    havre.clever("domain", "rm", "www.company.test", cwd=folder)


def test_a_visitor_stays_with_an_instance_across_a_deploy_and_nothing_is_lost(
    havre: Installation, folder: Path
) -> None:
    until(lambda: len({ask(havre)["number"] for _ in range(8)}) == 2, what="both instances answer")
    cookies = {}
    while len(cookies) < 2:
        first = ask(havre)
        cookies[first["number"]] = first["set-cookie"].partition(";")[0]
    for number, cookie in cookies.items():
        assert {ask(havre, cookie=cookie)["number"] for _ in range(6)} == {number}
    before = ask(havre)["deployment"]
    with Load(havre, HOST, clients=2).running() as load:
        until(lambda: load.seen, what="it is asked")
        commit(folder, "again")
        havre.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder)
        until(lambda: ask(havre)["deployment"] != before, what="the new version answers")
        until(lambda: len(load.seen) == 2, what="the visitors see it")
    assert load.lost == []
    for number, cookie in cookies.items():
        now = ask(havre, cookie=cookie)
        assert now["number"] == number and now["deployment"] != before and now["set-cookie"] == ""


def test_tcp_redirections_lead_to_port_4040_and_outlive_control_plane_and_gate(
    havre: Installation, folder: Path
) -> None:
    spaces = json.loads(havre.clever("tcp-redirs", "list-namespaces", "-F", "json", cwd=folder).stdout)
    assert {each["namespace"] for each in spaces} == {"default", "cleverapps"}
    havre.clever("tcp-redirs", "add", "--namespace", "default", cwd=folder)
    (made,) = json.loads(havre.clever("tcp-redirs", "list", "-F", "json", cwd=folder).stdout)
    port = made["port"]
    assert {say(port, "x") for _ in range(12)} <= {"0:x", "1:x"} and say(port, "six", host="::1")[1:] == ":six"
    kept = socket.create_connection(("127.0.0.1", port), timeout=20)
    kept.sendall(b"1")
    assert kept.recv(100)[1:] == b":1"
    havre.kill_control_plane()
    os.kill(json.loads((havre.data / "edge" / "tcpgate.json").read_text())["identity"][0], signal.SIGKILL)
    kept.sendall(b"2")
    assert kept.recv(100)[1:] == b":2", "whoever is connected is not cut"

    def is_back() -> bool:
        try:
            return say(port, "3")[1:] == ":3"
        except OSError:
            return False

    until(is_back, what="the gate is back while the control plane is away")
    havre.up()
    kept.sendall(b"4")
    assert kept.recv(100)[1:] == b":4"
    kept.close()
    havre.clever("tcp-redirs", "remove", "--namespace", "default", str(port), cwd=folder)
    with pytest.raises(ConnectionRefusedError):
        say(port, "5")
    assert json.loads(havre.clever("tcp-redirs", "list", "-F", "json", cwd=folder).stdout) == []


def test_a_killed_edge_is_back_by_itself_while_the_control_plane_is_away(havre: Installation) -> None:
    context = havre.tls()
    havre.kill_control_plane()
    wrong: list[str] = []
    answered = [0]
    stop = threading.Event()

    def visit() -> None:
        while not stop.is_set():
            connection = AppConnection(HOST, havre.https_port, context)
            try:
                connection.request("GET", "/")
                response = connection.getresponse()
                body = response.read()
                if response.status != 200 or "deployment" not in json.loads(body):
                    wrong.append(f"{response.status} {body[:80]!r}")
                answered[0] += 1
            except ConnectionRefusedError as error:
                wrong.append(repr(error))
            except (OSError, http.client.HTTPException):
                pass  # it was being answered when the edge was killed
            finally:
                connection.close()

    visitors = [threading.Thread(target=visit) for _ in range(2)]
    for each in visitors:
        each.start()
    try:
        for _ in range(2):
            before = answered[0]
            until(lambda before=before: answered[0] > before + 5, what="answers")  # type: ignore[misc]
            pid = json.loads((havre.data / "edge" / "caddy.json").read_text())["identity"][0]
            os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid: not alive(pid), what="the edge is gone")  # type: ignore[misc]
        before = answered[0]
        until(lambda: answered[0] > before + 5, what="answers again")
    finally:
        stop.set()
        for each in visitors:
            each.join()
    assert wrong == []
    havre.up()
    assert [each["error"] for each in havre.status()["rooms"] if each["name"] == "edge"] == [""]


def test_of_a_homogeneous_app_no_two_versions_answer(havre: Installation, folder: Path) -> None:
    """`zero-downtime false`: requests wait for the new version, none is lost, and the old never answers after it."""
    havre.clever("config", "set", "zero-downtime", "false", cwd=folder)
    seen: list[str] = []
    with Load(havre, HOST, clients=1).running() as load:
        watch = Watch(havre, seen)
        with watch:
            commit(folder, "homogeneous")
            havre.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder)
            until(lambda: len(set(seen)) == 2, what="both versions were seen")
    assert load.lost == []
    changes = sum(1 for one, two in itertools.pairwise(seen) if one != two)
    assert changes == 1, seen
    havre.clever("config", "set", "zero-downtime", "true", cwd=folder)


def test_the_control_plane_that_did_all_this_has_not_loaded_the_library_for_certificates(havre: Installation) -> None:
    """The notary has it; see docs/decisions/0024."""
    maps = Path(f"/proc/{havre.control_plane_pid()}/maps").read_text()
    assert "python" in maps
    assert "cryptography" not in maps


class Watch:
    """One visitor without a cookie, who notes which deployment answers, in order."""

    def __init__(self, havre: Installation, seen: list[str]) -> None:
        self.havre, self.seen = havre, seen
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.look)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()

    def look(self) -> None:
        while not self.stop.is_set():
            self.seen.append(ask(self.havre)["deployment"])
