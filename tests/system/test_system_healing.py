"""Apps that crash, run out of memory or hang come back; apps that are asked more, or nothing at all, change their scale."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.system.rig import NEEDS_LIMITS, Installation, Load, commit, installation, until, write_files

HOST = "moody.havre.localhost"
APPS = {
    "health_timeout_s": 30.0, "drain_s": 4.0, "grace_s": 1.0, "health_every_s": 0.5, "health_probe_s": 2.0,
    "health_failures": 2, "sample_every_s": 0.5, "scale_up_after_s": 2.0, "scale_down_after_s": 4.0,
}  # fmt: skip
MOODY = {
    "package.json": json.dumps({"name": "moody", "version": "1.0.0", "scripts": {"start": "node server.js"}}),
    "server.js": """
const http = require("node:http")
const { INSTANCE_ID, INSTANCE_NUMBER, CC_DEPLOYMENT_ID } = process.env
const server = http.createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://x")
  const answer = () => response.end(JSON.stringify(
    { instance: INSTANCE_ID, number: INSTANCE_NUMBER, deployment: CC_DEPLOYMENT_ID }))
  if (pathname === "/crash") { console.log("about to crash"); process.exit(3) }
  if (pathname === "/hang") { console.log("about to hang"); for (;;) {} }
  if (pathname === "/oom") { const held = []; for (;;) held.push(Buffer.alloc(1 << 24, 1)) }
  answer()
})
process.on("SIGTERM", () => server.close(() => process.exit(0)))
setTimeout(() => server.listen(8080, "0.0.0.0"), 300) // long enough that somebody asks meanwhile
""",
}


@pytest.fixture(scope="module")
def havre() -> Iterator[Installation]:
    with installation(apps=APPS) as made:
        made.up()
        folder = made.new_repository("moody", MOODY)
        made.clever("create", "-t", "node", "moody", cwd=folder)
        made.clever("scale", "--flavor", "pico", cwd=folder)
        made.deploy(folder)
        yield made


@pytest.fixture
def folder(havre: Installation) -> Path:
    return havre.base / "moody"


def answer(havre: Installation, path: str = "/") -> dict[str, Any]:
    status, _, body = havre.get(HOST, path)
    assert status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found


def ask(havre: Installation, path: str) -> None:
    """Ask for something that is not answered."""
    try:
        havre.get(HOST, path)
    except (OSError, http.client.HTTPException):
        return


def another_answers(havre: Installation, before: str) -> None:
    """Only who asked before the end was noticed may hear that nobody is there: whoever comes later waits."""
    refused: list[tuple[int, float]] = []

    def answers() -> bool:
        asked_at = time.time()
        status, _, body = havre.get(HOST)
        if status != 200:
            refused.append((status, asked_at))
        return status == 200 and bool(json.loads(body)["instance"] != before)

    until(answers, what="another instance answers", every_s=0.02)
    noticed_at = max(moments(havre, "apps.instance.replaced"))
    assert [each for each in refused if each[0] not in (502, 503) or each[1] > noticed_at] == []


def events(havre: Installation, name: str) -> list[dict[str, Any]]:
    with sqlite3.connect(havre.data / "havre.db") as conn:
        rows = conn.execute("select facts from event where name = ? order by seq", (name,)).fetchall()
    return [json.loads(facts) for (facts,) in rows]


def told_of(havre: Installation, instance: str) -> list[dict[str, Any]]:
    """What is told of its replacement."""
    return [each for each in events(havre, "apps.instance.replaced") if each["instance"] == instance]


def moments(havre: Installation, name: str) -> list[float]:
    """Of its events, in seconds."""
    with sqlite3.connect(havre.data / "havre.db") as conn:
        return [at / 1000 for (at,) in conn.execute("select at from event where name = ? order by seq", (name,))]


def activity(havre: Installation, folder: Path, action: str) -> list[dict[str, Any]]:
    return [each for each in havre.clever_json("activity", cwd=folder) if each["action"] == action]


def lines(havre: Installation, folder: Path) -> str:
    return havre.clever("logs", "--since", "1h", "--until", "0s", cwd=folder).stdout


# healing


def test_an_app_that_crashes_is_back_and_its_owner_reads_why(havre: Installation, folder: Path) -> None:
    before = answer(havre)["instance"]
    ask(havre, "/crash")
    another_answers(havre, before)
    (told,) = until(lambda: told_of(havre, before), what="an event says so")
    assert told["why"] == "it ended by itself (exit code 3)"
    assert "about to crash" in told["last"]
    until(lambda: "takes the place of" in lines(havre, folder), what="the owner's log says so")
    said = lines(havre, folder)
    assert "it ended by itself (exit code 3)" in said and "about to crash" in said
    row = activity(havre, folder, "REPLACE")[-1]
    assert row["state"] == "OK" and row["cause"].startswith("Monitoring/Unreachable: it ended by itself")


def test_a_crash_loop_backs_off_for_ever_and_says_so_each_time(havre: Installation, folder: Path) -> None:
    before = len(events(havre, "apps.instance.replaced"))
    for number in range(2):
        until(lambda: havre.get(HOST)[0] == 200, what="it is back")
        asked_at = time.time()
        ask(havre, "/crash")
        until(lambda n=number: len(events(havre, "apps.instance.replaced")) > before + n, what="replaced")  # type: ignore[misc]
    first, second = moments(havre, "apps.instance.replaced")[-2:]
    assert second - first >= 2, "the second start in a row waits so long"
    assert second - max(first + 2, asked_at) < 9, "and not for the next look around"
    until(lambda: havre.get(HOST)[0] == 200, what="it is back")
    assert len(activity(havre, folder, "REPLACE")) == 1, "a series of crashes is one line of activity"


@NEEDS_LIMITS
def test_an_app_out_of_memory_is_told_which_flavor_to_take(havre: Installation, folder: Path) -> None:
    forget_crashes(havre)
    before = answer(havre)["instance"]
    ask(havre, "/oom")
    another_answers(havre, before)
    said = "out of memory: the app needs more than flavor pico has; take flavor nano (clever scale --flavor nano)"
    assert [each["why"] for each in told_of(havre, before)] == [said]
    until(lambda: said in lines(havre, folder), what="the owner's log says so")


def test_an_app_that_hangs_is_replaced_and_no_request_is_lost_but_those_it_had(
    havre: Installation, folder: Path
) -> None:
    forget_crashes(havre)
    before = answer(havre)["instance"]
    stuck = threading.Thread(target=ask, args=(havre, "/hang"))
    stuck.start()
    log = next((havre.data / "deployments").glob(f"*/{before}.log"))
    until(lambda: "about to hang" in log.read_text(), what="it hangs")
    assert until(lambda: answer_or_none(havre), what="another instance answers", limit_s=60)["instance"] != before
    stuck.join(timeout=60)
    (told,) = told_of(havre, before)
    assert told["why"] == "GET / got no answer within 2 s, 2 times in a row"
    until(lambda: not (havre.data / "units" / before).exists(), what="the hung one is gone")


def answer_or_none(havre: Installation) -> dict[str, Any] | None:
    try:
        return answer(havre)
    except (AssertionError, OSError, http.client.HTTPException):
        return None


def forget_crashes(havre: Installation) -> None:
    """As after ten quiet minutes."""
    with sqlite3.connect(havre.data / "havre.db", timeout=30) as conn:
        conn.execute("update instance set deleted_at = deleted_at - 700000 where ended_by in ('crash', 'hung')")
        conn.execute("update deployment set created_at = created_at - 700000 where action = 'REPLACE'")


def test_a_killed_monitor_takes_its_instance_along_and_another_comes(havre: Installation, folder: Path) -> None:
    forget_crashes(havre)
    before = answer(havre)["instance"]
    pid = json.loads((havre.data / "units" / before / "handle.json").read_text())["pid"]
    with Load(havre, HOST, clients=3).running() as load:
        until(lambda: load.answered > 10, what="it is asked")
        os.kill(pid, signal.SIGKILL)
        until(lambda: load.instances - {before}, what="another instance answers")
        count = load.answered
        until(lambda: load.answered > count + 20, what="it is asked again")
    assert len(load.lost) <= 3, "each visitor lost the one answer that was being made, and waited from then on"
    (told,) = told_of(havre, before)
    assert told["why"] == "it was gone with its monitor or with the machine"


# scaling


def scale(havre: Installation) -> tuple[int, str]:
    """How many instances of which flavor are up, as the platform has recorded."""
    with sqlite3.connect(havre.data / "havre.db", timeout=30) as conn:
        rows = conn.execute("select count(*), flavor from instance where state = 'UP' group by flavor").fetchall()
    assert len(rows) < 2, rows
    return rows[0] if rows else (0, "")


def live_operations(havre: Installation) -> int:
    with sqlite3.connect(havre.data / "havre.db", timeout=30) as conn:
        return int(conn.execute("select count(*) from op where status in ('running', 'undoing')").fetchone()[0])


@contextmanager
def visitors(havre: Installation, count: int) -> Iterator[None]:
    """So many requests that are being answered all the while, at no cost: connections that have said half of one."""
    app = json.loads((havre.base / "moody" / ".clever.json").read_text())["apps"][0]["app_id"]
    run = json.loads((havre.data / "status.json").read_text())["run"]
    held: dict[int, socket.socket] = {}
    stop = threading.Event()

    def hold() -> None:
        while not stop.is_set():
            for number in range(count):
                if number in held and select.select([held[number]], [], [], 0)[0]:
                    held.pop(number).close()  # its instance has gone: another visitor comes
                if number not in held:
                    held[number] = socket.socket(socket.AF_UNIX)
                    held[number].connect(f"{run}/apps/{app}.sock")
                    held[number].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
            stop.wait(0.2)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for each in held.values():
            each.close()


def test_scaling_by_hand_up_and_down_loses_nothing(havre: Installation, folder: Path) -> None:
    with Load(havre, HOST, clients=2).running() as load:
        havre.clever("scale", "--instances", "3", cwd=folder)
        until(lambda: scale(havre) == (3, "pico"), what="three instances")
        until(lambda: len(load.instances) >= 3, what="all three answer")
        status = havre.clever_json("status", cwd=folder)
        assert [(each["count"], each["flavor"]) for each in status["instances"]] == [(3, "pico")]
        havre.clever("scale", "--instances", "1", cwd=folder)
        until(lambda: scale(havre) == (1, "pico"), what="one instance")
        until(lambda: live_operations(havre) == 0, what="the two others are drained")
    assert load.lost == [] and load.answered > 20
    assert activity(havre, folder, "UPSCALE")[-1]["cause"] == "Scaling"
    assert activity(havre, folder, "DOWNSCALE")[-1]["state"] == "OK"


def test_load_makes_an_app_larger_then_more_and_rest_the_other_way_round(havre: Installation, folder: Path) -> None:
    deployed = answer(havre)["deployment"]
    options = ("--min-flavor", "pico", "--max-flavor", "nano", "--min-instances", "1", "--max-instances", "2")
    havre.clever("scale", *options, cwd=folder)
    with Load(havre, HOST, clients=1).running() as load:
        with visitors(havre, 40):
            until(lambda: scale(havre) == (1, "nano"), what="a larger instance", limit_s=120)
            until(lambda: scale(havre) == (2, "nano"), what="one more", limit_s=120)
        until(lambda: scale(havre) == (1, "nano"), what="one less", limit_s=120)
        until(lambda: scale(havre) == (1, "pico"), what="a smaller one", limit_s=120)
        until(lambda: live_operations(havre) == 0, what="everything is drained", limit_s=60)
    assert load.lost == []
    rows = [
        each for each in havre.clever_json("activity", cwd=folder) if each["cause"].startswith("Monitoring/Scaling")
    ]
    assert [each["action"] for each in rows] == ["UPSCALE", "UPSCALE", "DOWNSCALE", "DOWNSCALE"]
    assert rows[0]["cause"].startswith("Monitoring/Scaling: 1 × nano because ")
    told = events(havre, "apps.app.scaled")
    assert any(each["said"].startswith("scaled to 2 because ") for each in told)
    assert answer(havre)["deployment"] == deployed, "nothing was built or deployed again"


def test_a_new_version_comes_at_the_scale_that_the_load_has_made(havre: Installation, folder: Path) -> None:
    options = ("--min-flavor", "pico", "--max-flavor", "pico", "--min-instances", "1", "--max-instances", "2")
    havre.clever("scale", *options, cwd=folder)
    with visitors(havre, 50):
        until(lambda: scale(havre) == (2, "pico"), what="two instances", limit_s=120)
        write_files(folder, {"version.txt": "2"})
        commit(folder, "second")
        said = havre.clever("deploy", cwd=folder).stdout
    assert "Instance 1 (pico) is up" in said
    havre.clever("scale", "--instances", "1", cwd=folder)
    until(lambda: scale(havre) == (1, "pico"), what="one instance", limit_s=60)


def test_an_app_that_may_sleep_sleeps_and_a_request_wakes_it(havre: Installation, folder: Path) -> None:
    refused = havre.clever("env", "set", "CC_SCALE_TO_ZERO_AFTER", "a while", cwd=folder, check=False)
    assert refused.returncode != 0 and "number of seconds" in refused.stderr + refused.stdout
    havre.clever("env", "set", "CC_SCALE_TO_ZERO_AFTER", "3", cwd=folder)
    until(lambda: scale(havre)[0] == 0, what="it sleeps", limit_s=60)
    until(lambda: units_of(havre) == [], what="nothing of it runs")
    with Load(havre, HOST, clients=2).running() as load:
        until(lambda: load.answered > 4, what="it is awake", limit_s=60)
    assert load.lost == []
    causes = [each["cause"] for each in havre.clever_json("activity", cwd=folder)]
    assert "Monitoring/Scaling: asleep because no request came for 3 s" in causes
    assert "Monitoring/Scaling: 1 × pico because a request came" in causes


def test_a_sleeping_app_is_woken_after_the_control_plane_was_killed(havre: Installation, folder: Path) -> None:
    until(lambda: scale(havre)[0] == 0, what="it sleeps", limit_s=60)
    until(lambda: units_of(havre) == [], what="nothing of it runs")
    havre.kill_control_plane()
    havre.up()
    assert answer(havre)["instance"]
    havre.clever("env", "rm", "CC_SCALE_TO_ZERO_AFTER", cwd=folder)


def units_of(havre: Installation) -> list[str]:
    return [each.name for each in (havre.data / "units").iterdir() if not (each / "exit.json").exists()]
