"""The gate of `make check` as a test: format, lint, types and the import contracts hold in what is tested."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(900)  # mypy reads everything anew where nothing is kept
ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
FOLDERS = ("src", "tests", "tools", "benchmarks")
GATE = {
    "format": ("ruff", "format", "--check", "-q", *FOLDERS),
    "lint": ("ruff", "check", "-q", *FOLDERS),
    "types": ("mypy",),
    "imports": ("lint-imports",),
}


@pytest.mark.parametrize("name", GATE)
def test_the_gate_is_open(name: str) -> None:
    program, *arguments = GATE[name]
    done = subprocess.run([str(BIN / program), *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_of_the_runtimes_is_what_the_suite_says() -> None:
    command = [sys.executable, str(ROOT / "tools" / "runtimes_page.py"), "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
