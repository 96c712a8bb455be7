"""The launcher as a program of /bin/sh: what it keeps running, what it tells, and that it ends with the app.

It runs in a session of its own on this machine, which stands for the sandbox: the engine tells every process of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from havre.apps import launch, launchers
from havre.apps.launch import Launch, cron
from havre.apps.launch.script import FIRST_FD
from havre.kernel.clock import SystemClock
from tests.decide.test_decide_launch import is_due


def until(claim: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 20
    while not claim():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)


@dataclass
class Started:
    """A launcher that runs. `said(service)`: the lines of a service, by default of the app."""

    base: Path
    process: subprocess.Popen[bytes]
    services: tuple[str, ...]

    def said(self, service: str = "app") -> list[str]:
        file = self.base / f"{service}.log"
        return file.read_text().splitlines() if file.exists() else []

    def stop(self) -> int:
        """As the engine does: every process is told. One that is forked in that very moment is not, and is told again
        here; the engine kills it when its grace is over."""
        for _ in range(20):
            os.killpg(self.process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(2)
        raise AssertionError("it does not end")

    def members(self) -> list[str]:
        """The programs of the session that still run."""
        found = subprocess.run(["ps", "-s", str(self.process.pid), "-o", "args="], capture_output=True, text=True)
        return [line for line in found.stdout.splitlines() if "defunct" not in line]


@dataclass
class Rig:
    base: Path
    running: list[Started] = field(default_factory=list)
    path: str = os.environ["PATH"]

    def start(self, command: str, env: dict[str, str] | None = None, **more: Any) -> Started:
        starts = launch.launch_of(start=command, env=env or {}, **more)
        return self.run(starts)

    def run(self, starts: Launch) -> Started:
        launchers.prepare(self.base, starts)
        file = self.base / launch.SCRIPT
        file.write_text(file.read_text().replace(launch.FOLDER, str(self.base)))
        services = launch.services(starts)
        fds = [os.open(self.base / f"{each}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND) for each in services]
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in fds]

        def place() -> None:
            for number, fd in enumerate(high):
                os.dup2(fd, FIRST_FD + number)

        with open(self.base / "app.log", "ab") as out:
            process = subprocess.Popen(
                ["/bin/sh", str(file)], stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True,
                preexec_fn=place, close_fds=False, env={"PATH": self.path, "APP_ROOT": str(self.base)},
            )  # fmt: skip
        for fd in (*fds, *high):
            os.close(fd)
        made = Started(self.base, process, services)
        self.running.append(made)
        return made

    def tell(self, *, succeeded: bool) -> bool:
        async def told() -> bool:
            return await launchers.tell(self.base, succeeded=succeeded, clock=SystemClock())

        return anyio.run(told)


@pytest.fixture
def rig() -> Iterator[Rig]:
    base = Path(tempfile.mkdtemp(prefix="hvl"))
    made = Rig(base)
    yield made
    for each in made.running:
        try:
            os.killpg(each.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        each.process.wait()
    shutil.rmtree(base, ignore_errors=True)  # whoever was killed with the group may still write for a moment


def test_the_exit_status_of_the_app_is_the_launchers_and_nothing_outlives_it(rig: Rig) -> None:
    env = {
        "CC_WORKER_COMMAND": "sleep 1000.0",
        "CC_WORKER_COMMAND_1": "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done",
    }
    # it ends when all beside it is there: the worker says so, and cron sleeps for whole seconds until its minute
    app = (
        "until [ -s $APP_ROOT/bas-worker-1.service.log ] && ps -s $(ps -o sid= -p $$) -o args= | "
        "grep -Eqx 'sleep [0-9]+'; do sleep 0.05; done; exit 7"
    )
    started = rig.start(app, env, cron_text='["@yearly true"]')
    assert started.process.wait(20) == 7
    until(lambda: started.said("bas-worker-1.service")[-1:] == ["bye"], "the worker is told")
    until(lambda: started.members() == [], "nothing is left")


def test_an_app_killed_by_a_signal_ends_as_a_shell_says_it(rig: Rig) -> None:
    assert rig.start("kill -KILL $$", {"CC_WORKER_COMMAND": "sleep 1000"}).process.wait(20) == 128 + signal.SIGKILL


def test_a_worker_that_does_not_end_holds_up_the_end_of_a_crashed_app_for_moments_only(rig: Rig) -> None:
    started = rig.start("exit 3", {"CC_WORKER_COMMAND": "trap '' TERM; while :; do sleep 0.1; done"})
    began = time.monotonic()
    assert started.process.wait(20) == 3
    assert time.monotonic() - began < 10


def test_a_stop_is_waited_for_by_the_app_and_its_workers_and_starts_nothing_again(rig: Rig) -> None:
    line = "trap 'sleep 0.3; echo $0 is done; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    started = rig.start(line.replace("$0", "the app"), {"CC_WORKER_COMMAND": line.replace("$0", "the worker")})
    until(lambda: started.said() and started.said("bas-worker.service"), "both run")
    assert started.stop() == 0
    for service, who in (("app", "the app"), ("bas-worker.service", "the worker")):
        assert [each for each in started.said(service) if each != "Terminated"] == ["ready", f"{who} is done"]


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [("always", 0, True), ("always", 1, True), ("on-failure", 0, False), ("on-failure", 1, True), ("no", 1, False)],
)
def test_the_policy_says_whether_a_worker_comes_again(rig: Rig, policy: str, code: int, again: bool) -> None:
    env = {
        "CC_WORKER_COMMAND": f"echo here; exit {code}",
        "CC_WORKER_RESTART": policy,
        "CC_WORKER_RESTART_DELAY": "0.1",
    }
    started = rig.start("sleep 1000", env)
    heard = lambda: started.said("bas-worker.service")  # noqa: E731
    if again:
        until(lambda: heard().count("here") >= 3, "the worker comes again and again")
        assert f"havre: worker ended with exit code {code}; it is started again in 0.1 s" in heard()
    else:
        until(lambda: len(heard()) == 2, "the end of the worker is told")
        assert heard() == ["here", "havre: worker has ended" if code == 0 else "havre: worker ended with exit code 1"]


def test_the_hook_before_the_start_goes_first_and_its_failure_is_the_instances(rig: Rig) -> None:
    env = {
        "CC_PRE_RUN_HOOK": "echo before; exit 9",
        "CC_WORKER_COMMAND": "echo worker",
        "CC_RUN_FAILED_HOOK": "echo failed",
    }
    started = rig.start("echo app", env)
    assert started.process.wait(20) == 9
    assert started.said() == ["before", "failed"]
    assert started.said("bas-worker.service") == []


def test_the_hook_of_success_runs_when_told_and_the_end_that_follows_is_no_failed_start(rig: Rig) -> None:
    env = {"CC_RUN_SUCCEEDED_HOOK": "echo well; exit 3", "CC_RUN_FAILED_HOOK": "echo ill"}
    started = rig.start("trap 'exit 5' USR1; echo up; sleep 1000 & wait", env)
    until(lambda: started.said() == ["up"], "the app runs")
    until(lambda: rig.tell(succeeded=True), "it is told")
    until(lambda: len(started.said()) == 3, "the hook has run")
    assert started.said()[1:] == ["well", "havre: CC_RUN_SUCCEEDED_HOOK failed with exit code 3"]
    assert not rig.tell(succeeded=True), "nobody listens any more"
    os.killpg(started.process.pid, signal.SIGKILL)
    assert "ill" not in started.said()


def test_an_app_that_ends_before_it_is_up_runs_the_hook_of_failure(rig: Rig) -> None:
    started = rig.start("exit 4", {"CC_RUN_FAILED_HOOK": "echo ill"})
    assert started.process.wait(20) == 4
    assert started.said() == ["ill"]


def test_an_app_that_does_not_become_healthy_is_told_runs_the_hook_once_and_ends(rig: Rig) -> None:
    started = rig.start(
        "echo up; exec sleep 1000", {"CC_RUN_FAILED_HOOK": "echo ill", "CC_WORKER_COMMAND": "sleep 1000"}
    )
    until(lambda: started.said() == ["up"], "the app runs")
    until(lambda: rig.tell(succeeded=False), "it is told")
    assert started.process.wait(20) == 128 + signal.SIGTERM
    assert started.said() == ["up", "ill"]
    until(lambda: started.members() == [], "nothing is left")  # what a late end does not wait for, it has told


@pytest.mark.parametrize(("code", "word"), [(0, "well"), (2, "ill")])
def test_a_tasks_exit_status_says_which_hook_runs(rig: Rig, code: int, word: str) -> None:
    env = {"CC_RUN_SUCCEEDED_HOOK": "echo well", "CC_RUN_FAILED_HOOK": "echo ill"}
    started = rig.start(f"exit {code}", env, ends=True)
    assert started.process.wait(20) == code
    assert started.said() == [word]


def test_a_stop_while_an_app_starts_runs_no_hook(rig: Rig) -> None:
    started = rig.start(
        "echo up; exec sleep 1000", {"CC_RUN_FAILED_HOOK": "echo ill", "CC_PRE_RUN_HOOK": "exec sleep 0.1"}
    )
    until(lambda: started.said() == ["up"], "the app runs")
    assert started.stop() == 128 + signal.SIGTERM
    assert started.said() == ["up"]


def virtual_time(base: Path, start: datetime, *, minutes: int) -> str:
    """Programs `date` and `sleep` of a clock that only sleeping moves, for so many minutes; the PATH they come first in."""
    place, now, end = base / "bin", base / "now", int(start.timestamp()) + minutes * 60
    place.mkdir()
    now.write_text(f"{int(start.timestamp())}\n")
    (place / "date").write_text(
        f'#!/bin/sh\n[ "$1" = -u ] || exec /bin/date -u -d "@$(cat {now})" "$@"\nexec /bin/date "$@"\n'
    )
    (place / "sleep").write_text(
        f"#!/bin/sh\nat=$(($(cat {now}) + $1))\n[ $at -lt {end} ] || exec /bin/sleep 1000\necho $at > {now}.new\n"
        f"mv {now}.new {now}\n"
    )
    for each in place.iterdir():
        each.chmod(0o755)
    return f"{place}:{os.environ['PATH']}"


def test_cron_starts_each_job_at_its_minutes_with_its_input_and_tells_of_failures(rig: Rig) -> None:
    rig.path = virtual_time(rig.base, datetime(2026, 11, 30, 23, 57, 30, tzinfo=UTC), minutes=6)
    text = (
        r'["@reboot echo at the start", "58 23 * * * echo in $ROOT", "0 0 1 dec * cat%first%second", '
        r'"1 0 * * tue echo tuesday; exit 6", "1 0 * * wed echo wednesday", "@monthly echo monthly"]'
    )
    started = rig.start("exec /bin/sleep 1000", cron_text=text)
    heard = lambda: started.said("bas-cron.service")  # noqa: E731
    failed = "havre: ended with exit code 6: echo tuesday; exit 6"
    until(lambda: len(heard()) >= 7, "every job has been heard")
    said = heard()
    # minutes pass as fast as the machine can, and jobs run beside each other
    assert sorted(said) == sorted(["at the start", f"in {rig.base}", "first", "second", "monthly", "tuesday", failed])
    assert said.index("tuesday") < said.index(failed)


def test_jobs_that_pile_up_are_not_started_without_end(rig: Rig) -> None:
    rig.path = virtual_time(rig.base, datetime(2026, 1, 1, tzinfo=UTC), minutes=30)
    started = rig.start("exec /bin/sleep 1000", cron_text='["* * * * * echo one; exec /bin/sleep 1000"]')
    heard = lambda: started.said("bas-cron.service")  # noqa: E731
    until(lambda: any("not started, as 20 jobs still run" in each for each in heard()), "one is refused")
    until(lambda: heard().count("one") >= 20, "all that were started are heard")
    assert heard().count("one") == 20
    assert started.stop() == 128 + signal.SIGTERM
    until(lambda: started.members() == [], "nothing is left")


def test_the_shell_and_the_decision_agree_on_when_a_job_is_due(rig: Rig) -> None:
    lines = ["*/7 * * * *", "0 4 1,15 * 3", "5-9 */2 * jan-jun mon-fri", "30 23 29 2 *", "0 0 */9 * 7", "* 1 * * *"]
    jobs = cron.parse(str([f"{each} echo {number}" for number, each in enumerate(lines)]).replace("'", '"'))
    moments = [datetime(2024, 2, 29, 23, 30), datetime(2026, 11, 25, 4, 0), datetime(2026, 6, 8, 6, 5)]
    moments += [datetime(2026, month, day, hour, minute) for month in (1, 6) for day in (1, 4, 15, 19) for hour in (0, 1, 4)
                for minute in (0, 5, 7)]  # fmt: skip
    text = launch.script(Launch("true", cron=jobs))
    functions = text[text.index("is() {") : text.index("\n# $1 the status")]
    functions = functions.replace("job() {", "unused() {", 1) + '\njob() { printf "%s " "${1#echo }"; }\n'
    calls = "".join(
        f"due {each.minute} {each.hour} {each.day} {each.month} {each.isoweekday() % 7}; echo\n" for each in moments
    )
    done = subprocess.run(["/bin/sh"], input=functions + calls, capture_output=True, text=True, check=True)
    expected = ["".join(f"{number} " for number, job in enumerate(jobs) if is_due(job, each)) for each in moments]
    assert done.stdout.splitlines() == expected
    assert any(expected)
