"""Kits of the toolchains: copied whole, and `together`, which makes one program of several."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from havre.base.errors import UnavailableError
from havre.drivers.toolchains import Toolchains


@pytest.fixture
def together(tmp_path: Path) -> Path:
    kit = Toolchains(tmp_path, {}).ensure_now("together")
    return kit.source / "bin" / "together"


@pytest.fixture
def started(together: Path, tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """What a test started, ended with it, the parts too."""
    made: list[subprocess.Popen[str]] = []
    yield made
    for each in made:
        try:
            os.killpg(each.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        finally:
            each.communicate()


def run(started: list[subprocess.Popen[str]], program: Path, *lines: str, grace_s: str = "5") -> subprocess.Popen[str]:
    env = {"PATH": "/usr/bin:/bin", "TOGETHER_GRACE_S": grace_s}
    made = subprocess.Popen([program, *lines], env=env, stderr=subprocess.PIPE, text=True, start_new_session=True)
    started.append(made)
    return made


def until(said: Path, what: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if said.exists() and what in said.read_text():
            return
        time.sleep(0.02)
    raise AssertionError(f"{what!r} did not come: {said.read_text() if said.exists() else ''}")


def test_a_kit_is_there_once_for_each_content(tmp_path: Path) -> None:
    first = Toolchains(tmp_path, {}).ensure_now("php")
    again = Toolchains(tmp_path, {}).ensure_now("php")
    assert first == again and os.access(first.source / "bin" / "with-php", os.X_OK)
    assert [each.name for each in tmp_path.iterdir() if not each.name.startswith(".")] == [f"php-{first.version}"]


@pytest.mark.parametrize("name", ["node@../../etc", "node@22;id", "no-such-thing"])
def test_a_name_that_is_no_toolchain_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnavailableError, match="no toolchain"):
        Toolchains(tmp_path, {}).ensure_now(name)


def test_the_first_part_that_ends_ends_the_others(
    started: list[subprocess.Popen[str]], together: Path, tmp_path: Path
) -> None:
    other = (
        f"trap 'echo told > {tmp_path}/other; exit 0' TERM; echo up > {tmp_path}/other; while :; do sleep 0.05; done"
    )
    wait = f"until grep -q up {tmp_path}/other 2>/dev/null; do sleep 0.02; done; exit 7"
    made = run(started, together, other, wait)
    _, said = made.communicate(timeout=30)
    assert made.returncode == 7
    assert "a part ended with status 7" in said
    assert (tmp_path / "other").read_text() == "told\n"


def test_a_part_that_ends_well_ends_the_app_all_the_same(started: list[subprocess.Popen[str]], together: Path) -> None:
    made = run(started, together, "sleep 60", "exit 0")
    made.communicate(timeout=30)
    assert made.returncode == 0


def test_sigterm_reaches_every_part_and_is_a_good_end(
    started: list[subprocess.Popen[str]], together: Path, tmp_path: Path
) -> None:
    part = "trap 'echo told >> {0}; exit 0' TERM; echo up >> {0}; while :; do sleep 0.05; done"
    made = run(started, together, part.format(tmp_path / "a"), part.format(tmp_path / "b"))
    until(tmp_path / "a", "up")
    until(tmp_path / "b", "up")
    made.terminate()
    _, said = made.communicate(timeout=30)
    assert made.returncode == 0, said
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text() == "up\ntold\n"


def test_a_part_that_does_not_listen_is_killed(
    started: list[subprocess.Popen[str]], together: Path, tmp_path: Path
) -> None:
    deaf = f"trap '' TERM; echo up > {tmp_path}/deaf; while :; do sleep 0.1; done"
    made = run(started, together, deaf, f"until [ -e {tmp_path}/deaf ]; do sleep 0.02; done; exit 3", grace_s="1")
    made.communicate(timeout=30)
    assert made.returncode == 3
