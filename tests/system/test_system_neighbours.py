"""Apps that go off beside one that does not: its visitors notice nothing, and each owner reads what happened.

As root and (`as_an_ordinary_user`) as a user without any privilege, where what nothing limits is told all the same.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from havre.drivers import cgroup
from tests.hostile_rig import IS_ROOT, as_ordinary_user
from tests.system.rig import NODE_APP, Installation, Load, installation, until

APPS = {"health_timeout_s": 60.0, "drain_s": 2.0, "grace_s": 1.0, "health_every_s": 0.5, "health_probe_s": 20.0}
CALM, WILD = "calm.havre.localhost", "wild.havre.localhost"
IS_LIMITED = "memory" not in cgroup.probe().missing
WILD_APP = {
    "package.json": json.dumps({"name": "wild", "version": "1.0.0", "scripts": {"start": "node server.js"}}),
    "server.js": """
const http = require("node:http"), fs = require("node:fs"), { spawn } = require("node:child_process")
const bombs = {
  processes() { for (let n = 0; n < 600; n++) spawn("sleep", ["45"], { stdio: "ignore" }).on("error", () => {}) },
  bytes() { const part = Buffer.alloc(1 << 20, 1); try { for (;;) fs.appendFileSync("/tmp/fill", part) } catch {} },
  files() { try { for (let n = 0; ; n++) fs.closeSync(fs.openSync(`/tmp/${n}`, "w")) } catch {} },
  output() { const line = "y".repeat(1 << 16); let n = 0
    const on = () => n++ < 600 && process.stdout.write(line, () => setImmediate(on)); on() },
  memory() { // where no group limits it a process is refused more, and only several have more than their flavor
    const part = "globalThis.held = Buffer.alloc(200 << 20, 1); setTimeout(() => {}, 60000)"
    for (let n = 0; n < 4; n++) spawn(process.execPath, ["-e", part], { stdio: "ignore" }).on("error", () => {})
    setTimeout(() => {
      globalThis.held = []
      try { for (;;) held.push(Buffer.alloc(1 << 24, 1)) } catch (error) { console.log(error.message) }
    }, 3000)
  },
}
http.createServer((request, response) => {
  if (request.method === "POST") request.resume().on("end", () => response.end("{}"))
  else response.end("{}")
  const bomb = bombs[request.url.slice(1)]
  if (bomb) setTimeout(bomb, 50)
}).listen(8080, "0.0.0.0")
process.on("uncaughtException", () => {})
""",
}
TOLD = {  # in this order: the instance bears all but the last
    "processes": "it has as many processes and threads as an instance may have",
    "bytes": "what it has written since its start fills the 256 MiB for that",
    "files": "it has made as many files as an instance of flavor nano may have",
    "output": "it prints more than 4 MiB a second",
    "connections": "it has as many connections open as an instance may have",
    "memory": "out of memory: the app needs more than flavor nano has"
    if IS_LIMITED
    else "its processes use more memory than flavor nano has, and this machine cannot stop them",
}


@pytest.fixture(scope="module")
def havre() -> Iterator[Installation]:
    with installation(apps=APPS) as made:
        made.up()
        for name, files in (("calm", NODE_APP), ("wild", WILD_APP)):
            folder = made.new_repository(name, files)
            made.clever("create", "-t", "node", name, cwd=folder)
            made.clever("scale", "--flavor", "nano", cwd=folder)
            made.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder)
        for host in (CALM, WILD):
            until(lambda host=host: made.get(host)[0] == 200, what=f"{host} serves")  # type: ignore[misc]
        yield made


def events(havre: Installation, name: str) -> list[dict[str, Any]]:
    with sqlite3.connect(havre.data / "havre.db", timeout=30) as conn:
        rows = conn.execute("select facts from event where name = ? order by seq", (name,)).fetchall()
    return [json.loads(facts) for (facts,) in rows]


def told(havre: Installation, bound: str) -> list[dict[str, Any]]:
    if bound == "memory" and IS_LIMITED:
        return [each for each in events(havre, "apps.instance.replaced") if TOLD["memory"] in each["why"]]
    return [each for each in events(havre, "apps.instance.strained") if each["bound"] == bound]


@pytest.mark.parametrize(
    "bound",
    [
        "bytes",
        *(pytest.param(each, marks=pytest.mark.soak) for each in ("processes", "files", "output", "memory")),
    ],
)
def test_a_bomb_is_told_to_its_owner_and_its_neighbour_answers(havre: Installation, bound: str) -> None:
    with Load(havre, CALM, clients=2).running() as load:
        until(lambda: load.answered > 50, what="the neighbour is asked")
        calm_ms = load.p99_ms
        load.took_s.clear()
        havre.get(WILD, f"/{bound}")
        until(lambda: told(havre, bound), what=f"an event tells of {bound}", limit_s=60)
        count = load.answered
        until(lambda: load.answered > count + 100, what="the neighbour is asked while it lasts")
    assert load.lost == []
    line = next(line for line in havre.havre("doctor", check=False).stdout.splitlines() if " limits " in line)
    assert (" yes " in line) == IS_LIMITED, "which of the two ways memory goes is what doctor says"
    print(f"{bound}: the neighbour's p99 {load.p99_ms:.1f} ms, before {calm_ms:.1f} ms")
    until(lambda: TOLD[bound] in said(havre), what="the owner's log says so")
    assert len(told(havre, bound)) == 1, "once"
    until(
        lambda: [TOLD[bound] in line for line in activity(havre)].count(True) == 1, what="and the activity, in a line"
    )


def said(havre: Installation) -> str:
    return havre.clever("logs", "--since", "10m", "--until", "0s", "--search", "havre", cwd=havre.base / "wild").stdout


def activity(havre: Installation) -> list[str]:
    """As it is drawn at a terminal."""
    return havre.clever("activity", cwd=havre.base / "wild").stdout.splitlines()


@contextmanager
def slow_visitors(havre: Installation, count: int) -> Iterator[list[socket.socket]]:
    """So many who open a connection and say a byte of their request now and then."""
    held: list[socket.socket] = []
    stop = threading.Event()

    def drip() -> None:
        while not stop.is_set():
            for each in list(held):
                try:
                    each.send(b"a")
                except OSError:
                    held.remove(each)
            stop.wait(1)

    for number in range(count):
        port = havre.http_port if number % 2 else havre.https_port
        opened = socket.create_connection(("127.0.0.1", port), timeout=20)
        if not number % 2:
            opened = havre.tls().wrap_socket(opened, server_hostname=WILD)
        half = b"POST / HTTP/1.1\r\nHost: wild.havre.localhost\r\nContent-Length: 1000000\r\n\r\n"
        opened.sendall(b"GET / HTTP/1.1\r\nHost: wild.havre.localhost\r\nX-" if number % 3 else half)
        held.append(opened)
    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield held
    finally:
        stop.set()
        thread.join()
        for each in held:
            each.close()


@pytest.mark.soak
def test_visitors_who_take_their_time_take_nobody_elses(havre: Installation) -> None:
    with Load(havre, CALM, clients=2).running() as load:
        until(lambda: load.answered > 50, what="the neighbour is asked")
        calm_ms = load.p99_ms
        with slow_visitors(havre, 180) as held:
            load.took_s.clear()
            count = load.answered
            until(lambda: load.answered > count + 300, what="the neighbour is asked while they drip")
            assert havre.get(WILD)[0] == 200, "and so is the app that they call"
            print(f"slow visitors: the neighbour's p99 {load.p99_ms:.1f} ms, before {calm_ms:.1f} ms")
            said = "visitors hold connections and ask for nothing, most of them from 127.0.0.1"
            until(lambda: said in havre.havre("status").stdout, what="the operator sees how many, and where from")
            (event,) = events(havre, "edge.visitors.stalled")
            assert event["count"] >= 100 and event["most"][0]["address"] == "127.0.0.1"
            until(lambda: len(held) <= 180 // 3 + 1, what="who never ends its headers is sent away", limit_s=60)
    assert load.lost == []


CROWD = """
import socket, sys, time
held = []
for _ in range(500):
    held.append(socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=60))
    held[-1].sendall(b"POST / HTTP/1.1\\r\\nHost: wild.havre.localhost\\r\\nContent-Length: 1000000\\r\\n\\r\\n")
time.sleep(600)
"""


@pytest.mark.soak
def test_visitors_who_take_every_connection_of_an_app_are_told_to_its_owner(havre: Installation) -> None:
    crowd: list[subprocess.Popen[bytes]] = []

    def is_told() -> bool:
        if len(crowd) < 12:
            crowd.append(subprocess.Popen([sys.executable, "-c", CROWD, str(havre.http_port)]))
        return bool(told(havre, "connections"))

    with Load(havre, CALM, clients=2).running() as load:
        until(lambda: load.answered > 50, what="the neighbour is asked")
        calm_ms = load.p99_ms
        load.took_s.clear()
        try:
            until(is_told, what="an event tells of connections", limit_s=120)
            arriving_ms, count = load.p99_ms, load.answered
            until(lambda: load.answered > count + 500, what="the neighbour is asked when all have come", limit_s=120)
            load.took_s.clear()
            until(lambda: load.answered > count + 800, what="the neighbour is asked while it lasts", limit_s=120)
        finally:
            for each in crowd:
                each.kill()
                each.wait()
    assert load.lost == []
    print(f"connections: the neighbour's p99 {load.p99_ms:.1f} ms, before {calm_ms:.1f} ms", end="")
    print(f", while {len(crowd) * 500} come at once {arriving_ms:.1f} ms")
    until(lambda: TOLD["connections"] in said(havre), what="the owner's log says so")
    assert any(TOLD["connections"] in line for line in activity(havre))
    until(lambda: havre.get(WILD)[0] == 200, what="the app answers once they are gone")


@pytest.mark.soak
@pytest.mark.skipif(not IS_ROOT, reason="this is the trial as an ordinary user")
@pytest.mark.timeout(600)
def test_all_of_it_as_an_ordinary_user() -> None:
    argv = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-s", "-m", "soak or not soak", __file__]
    done = as_ordinary_user(argv, limit_s=580)
    print(*(line for line in done.stdout.splitlines() if "p99" in line), sep="\n")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
