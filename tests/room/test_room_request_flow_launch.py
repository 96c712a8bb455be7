"""The launcher of a request flow, run by this machine's own /bin/sh."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from havre.apps.runtimes import Plan
from havre.apps.runtimes.plan import Part
from havre.apps.runtimes.request_flow import launch
from tests.driver.caddy_rig import until

STAY = "trap 'echo \"{0} was told\"; exit {1}' TERM; touch {0}.up; while :; do sleep 0.05; done"
WAIT = "until [ -e {0}.up ]; do sleep 0.05; done; "


@contextmanager
def launched(folder: Path, app: str, *parts: str, patience_s: str = "8") -> Iterator[subprocess.Popen[bytes]]:
    """The launcher in a session of its own, as in a sandbox; everything of it is gone afterwards."""
    plan = Plan("x", (), (), app, flow=tuple(Part(f"part {n}", 8080 + n, line) for n, line in enumerate(parts)))
    line = launch.start_line(plan).replace(f"sleep {launch.PATIENCE_S};", f"sleep {patience_s};")
    argv = ["/bin/sh", "-c", line.replace("/tmp/.havre-ends", str(folder / "ends"))]
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(argv, cwd=folder, stdout=said, stderr=said, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)


def ended(process: subprocess.Popen[bytes], folder: Path) -> tuple[int, str]:
    return process.wait(timeout=60), (folder / "said").read_text()


@pytest.mark.parametrize(("status", "code"), [(7, 7), (0, 1)])
def test_a_part_that_ends_ends_the_instance_and_never_as_a_success(tmp_path: Path, status: int, code: int) -> None:
    part = WAIT.format("app") + WAIT.format("other") + f"exit {status}"
    with launched(tmp_path, STAY.format("app", 0), part, STAY.format("other", 0)) as process:
        seen, said = ended(process, tmp_path)
    assert seen == code
    assert "app was told" in said and "other was told" in said
    assert f"part 0 ended with exit code {status}, and the instance with it" in said


@pytest.mark.parametrize("status", [0, 3])
def test_an_app_that_ends_ends_the_instance_with_its_own_code(tmp_path: Path, status: int) -> None:
    with launched(tmp_path, WAIT.format("part") + f"exit {status}", STAY.format("part", 0)) as process:
        seen, said = ended(process, tmp_path)
    assert seen == status
    assert "part was told" in said and f"the app ended with exit code {status}" in said


def test_a_stop_waits_for_everybody_and_ends_with_the_apps_code(tmp_path: Path) -> None:
    with launched(tmp_path, STAY.format("app", 5), STAY.format("part", 0)) as process:
        subprocess.run(
            ["/bin/sh", "-c", WAIT.format("app") + WAIT.format("part")], cwd=tmp_path, check=True, timeout=60
        )
        os.killpg(process.pid, signal.SIGTERM)  # as the unit's monitor does: to every process
        seen, said = ended(process, tmp_path)
    assert seen == 5
    assert said.count("app was told") == said.count("part was told") == 1
    assert "and the instance with it" not in said


def test_the_app_is_told_once(tmp_path: Path) -> None:
    """The others are told after it: two words at once would be one to it."""
    count = (
        "trap 'echo told >> count' TERM; echo $$ > app.pid; touch app.up; until [ -e all.told ]; do sleep 0.05; done; "
        "n=0; while [ $n -lt 20 ]; do sleep 0.05; n=$((n+1)); done"  # and a while longer, for a second word
    )
    with launched(tmp_path, count, STAY.format("part", 0)) as process:
        subprocess.run(
            ["/bin/sh", "-c", WAIT.format("app") + WAIT.format("part")], cwd=tmp_path, check=True, timeout=60
        )
        app = int((tmp_path / "app.pid").read_text())
        os.kill(app, signal.SIGTERM)
        until((tmp_path / "count").exists, what="the app is told")
        listed = subprocess.run(["ps", "-e", "-o", "pid=,pgid="], capture_output=True, text=True, check=True).stdout
        for pid, group in (map(int, line.split()) for line in listed.splitlines()):
            if group == process.pid and pid != app:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        (tmp_path / "all.told").touch()
        ended(process, tmp_path)
    assert (tmp_path / "count").read_text() == "told\n"


def test_what_does_not_go_when_told_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    deaf = "trap '' TERM; touch deaf.up; while :; do sleep 0.05; done"
    with launched(tmp_path, "until [ -e deaf.up ]; do :; done; exit 4", deaf, patience_s="0.2") as process:
        seen, said = ended(process, tmp_path)
    assert seen == 4
    assert "the app ended with exit code 4" in said


def test_no_part_can_write_to_the_launcher(tmp_path: Path) -> None:
    with launched(tmp_path, "echo '0 the app' >&3 || echo closed", STAY.format("part", 0)) as process:
        seen, said = ended(process, tmp_path)
    assert seen == 0 and "closed" in said
