"""What runs beside an app, around its start and instead of it, as a person sees it through the command line."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.system.rig import Installation, commit, until

HOST = "beside.havre.localhost"
SERVER = """
const http = require("node:http"), fs = require("node:fs"), env = process.env
http.createServer((request, response) => {
  response.end(JSON.stringify({ deployment: env.CC_DEPLOYMENT_ID, key: env.CC_SSH_PRIVATE_KEY ?? null,
    git: fs.existsSync(".git/HEAD"), history: fs.readFileSync("history", "utf8").trim() }))
}).listen(8080, "0.0.0.0")
"""
FILES = {
    "package.json": '{"name": "beside", "scripts": {"start": "node server.js"}}',
    "server.js": SERVER,
    "clevercloud/cron.json": '["* * * * * echo tick of $INSTANCE_NUMBER in $ROOT", "@reboot echo once"]',
}
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\\nc2VjcmV0IG9mIHRoZSBhcHA=\\n-----END OPENSSH PRIVATE KEY-----"
ENV = {
    "CC_WORKER_COMMAND": "echo the worker works; exec sleep 1000",
    "CC_WORKER_COMMAND_7": "echo the worker falls; exit 3",
    "CC_WORKER_RESTART_DELAY": "0.3",
    "CC_RUN_SUCCEEDED_HOOK": "echo it serves now",
    "CC_GIT_FULL_CLONE": "true",
    "CC_PRE_BUILD_HOOK": "stat -c '%a %n' ~/.ssh/id*; wc -l ~/.ssh/id*; echo seen: $(env | grep -c ^[A-Z_]*_SSH_); "
    "git log --oneline | wc -l > history",
    "CC_SSH_PRIVATE_KEY": KEY,
    "CC_SSH_PRIVATE_KEY_FILE": "id_ed25519",
    "CC_WORKER_RESTRT": "always",
}


@pytest.fixture(scope="module")
def beside(havre: Installation) -> Path:
    folder = havre.new_repository("beside", FILES)
    havre.clever("create", "-t", "node", "beside", cwd=folder)
    havre.put_env(folder, ENV)
    commit(folder, "second")
    havre.deploy(folder)
    return folder


def lines(havre: Installation, folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = havre.clever_json("logs", "--since", "1h", "--until", "0s", cwd=folder)
    return found


def said(havre: Installation, folder: Path, service: str) -> list[str]:
    return of(lines(havre, folder), service)


def answer(havre: Installation) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(havre.get(HOST)[2])
    return found


@pytest.fixture(scope="module")
def told(havre: Installation, beside: Path) -> list[dict[str, Any]]:
    """The lines of the app, when a worker has fallen twice and each of the others has spoken."""
    speaks = {"bas-user": "it serves now", "bas-cron": "once", "bas-worker": "the worker works"}

    def all_told() -> list[dict[str, Any]]:
        found = lines(havre, beside)
        silent = [each for each, word in speaks.items() if word not in of(found, f"{each}.service")]
        return found if not silent and len(of(found, "bas-worker-7.service")) >= 4 else []

    found: list[dict[str, Any]] = until(all_told, what="the falling worker comes again, and the others speak")
    return found


def of(found: list[dict[str, Any]], service: str) -> list[str]:
    return [each["message"] for each in found if each["service"] == service]


def test_workers_run_beside_the_app_and_are_started_again(told: list[dict[str, Any]]) -> None:
    assert of(told, "bas-worker.service") == ["the worker works"]
    again = "havre: worker-7 ended with exit code 3; it is started again in 0.3 s"
    assert of(told, "bas-worker-7.service")[:4] == ["the worker falls", again] * 2


def test_the_hook_of_a_start_that_succeeded_runs_once(told: list[dict[str, Any]]) -> None:
    assert of(told, "bas-user.service").count("it serves now") == 1


def test_cron_begins_with_the_app(told: list[dict[str, Any]]) -> None:
    assert of(told, "bas-cron.service").count("once") == 1


def test_the_key_is_in_the_build_alone_and_its_text_in_no_log(havre: Installation, told: list[dict[str, Any]]) -> None:
    deploy = of(told, "bas-deploy.service")
    at = deploy.index("600 /home/bas/.ssh/id_ed25519")
    assert deploy[at + 1 : at + 3] == ["3 /home/bas/.ssh/id_ed25519", "seen: 1"], "the name of its file is no secret"
    assert answer(havre)["key"] is None
    assert "c2VjcmV0" not in json.dumps(told)


def test_a_full_clone_has_the_history(havre: Installation, beside: Path) -> None:
    assert (answer(havre)["git"], answer(havre)["history"]) == (True, "2")


def test_a_variable_that_nobody_knows_is_named(told: list[dict[str, Any]]) -> None:
    notes = [each for each in of(told, "bas-deploy.service") if "CC_WORKER_RESTRT" in each]
    assert notes == ["Note: not known, and without effect: CC_WORKER_RESTRT (did you mean CC_WORKER_RESTART?)"]


def test_a_start_that_fails_runs_its_hook_and_what_served_goes_on(havre: Installation, beside: Path) -> None:
    before = answer(havre)["deployment"]
    havre.put_env(beside, ENV | {"CC_RUN_COMMAND": "exit 4", "CC_RUN_FAILED_HOOK": "echo it did not start"})
    failed = havre.clever("restart", cwd=beside, check=False)
    assert failed.returncode == 1 and "it did not start" in failed.stdout
    assert answer(havre)["deployment"] == before


@pytest.fixture(scope="module")
def job(havre: Installation) -> Path:
    """A task whose first run went well, and the words of its creation and its deployment."""
    folder = havre.new_repository("job", FILES | {"job.js": JOB})
    created = havre.clever("create", "-t", "node", "--task", "node job.js 0", "job", cwd=folder).stdout
    assert "execute your task" in created
    done = havre.clever("deploy", cwd=folder).stdout
    assert "the job ends with 0" in done and "Task ended after" in done
    return folder


def test_a_task_is_down_when_it_has_ended(havre: Installation, job: Path) -> None:
    seen = havre.clever_json("status", cwd=job)
    assert (seen["status"], seen["lifetime"]) == ("stopped", "TASK")


def test_the_exit_status_of_a_task_is_the_outcome_and_its_build_is_used_again(havre: Installation, job: Path) -> None:
    havre.put_env(job, {"CC_RUN_COMMAND": "node job.js 5"})
    failed = havre.clever("restart", cwd=job, check=False)
    assert failed.returncode == 1 and "Task failed after" in failed.stdout and "exit code 5" in failed.stdout
    assert "Using the build of" in failed.stdout
    assert [each["state"] for each in havre.clever_json("activity", cwd=job)] == ["OK", "FAIL"]


JOB = """
const [code, wait] = process.argv.slice(2)
const end = () => { console.log(`the job ends with ${code}`); process.exit(Number(code)) }
console.log("the job begins")
process.on("SIGUSR2", end)
setTimeout(end, wait ? 1e9 : 100)
"""


def waiting(havre: Installation) -> str:
    """The command of a job that ends when it is told, unlike that of any other installation here."""
    return f"node job.js 0 until-{havre.https_port}"


def jobs_that_wait(havre: Installation) -> list[int]:
    command = waiting(havre).replace(" ", "\0").encode() + b"\0"
    return [int(each.name) for each in Path("/proc").glob("[0-9]*") if command_of(int(each.name)) == command]


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.soak
def test_a_task_goes_on_without_a_control_plane_and_runs_once(havre: Installation, job: Path) -> None:
    began = said(havre, job, "bas-user.service").count("the job begins")
    havre.put_env(job, {"CC_RUN_COMMAND": waiting(havre)})
    havre.clever("restart", "--exit-on", "deploy-start", "--quiet", cwd=job)
    [pid] = until(lambda: jobs_that_wait(havre), what="the task runs")
    assert havre.clever_json("activity", cwd=job)[-1]["state"] == "WIP"
    havre.kill_control_plane()
    havre.up()
    os.kill(pid, signal.SIGUSR2)
    until(lambda: havre.clever_json("activity", cwd=job)[-1]["state"] == "OK", what="the task has ended")
    assert said(havre, job, "bas-user.service").count("the job begins") == began + 1


def test_a_task_under_way_can_be_cancelled(havre: Installation, job: Path) -> None:
    havre.put_env(job, {"CC_RUN_COMMAND": waiting(havre)})
    havre.clever("restart", "--exit-on", "deploy-start", "--quiet", cwd=job)
    until(lambda: jobs_that_wait(havre), what="the task runs")
    assert havre.clever_json("status", cwd=job)["deploymentInProgress"]["instances"]
    havre.clever("cancel-deploy", cwd=job)
    until(lambda: havre.clever_json("activity", cwd=job)[-1]["state"] == "CANCELLED", what="it is cancelled")
    assert jobs_that_wait(havre) == []
    assert havre.clever_json("status", cwd=job)["status"] == "stopped"


@pytest.mark.soak  # the minutes are proven on a clock that only sleeping moves (tests/room/test_room_launch.py)
def test_cron_runs_its_jobs_at_their_minutes(havre: Installation, beside: Path) -> None:
    def ticked() -> bool:
        return any(each.startswith("tick of 0 in /home/bas/app_") for each in said(havre, beside, "bas-cron.service"))

    until(ticked, what="the job of each minute has run", limit_s=90)
