"""What the control plane does not load to stand by: memory that every installation would pay for all day."""

from __future__ import annotations

import subprocess
import sys

import pytest

WHEN_NEEDED = {
    "rich.console": "nothing is drawn",
    "pygments.lexers.python": "nothing is drawn",
    "cryptography": "the notary has it, a process that ends when nobody asks",
    "acme": "the first order at a certificate authority",
    "asyncssh": "the first visitor of the SSH gateway",
    "jinja2.environment": "the first page of signing in",
    "sqlalchemy.orm": "never: SQLAlchemy Core",
    "havre.network.work": "the first arrow of a migration",
    "xml": "the host's own settings of Maven",
    "yaml": "the first intent of the network",
    "havre.network.lab": "the lab is a program of its own",
}


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    command = [sys.executable, "-X", "importtime", "-m", "havre.daemon", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr
    return {line.rsplit("|", 1)[1].strip() for line in told.splitlines() if line.count("|") == 2}


def test_the_list_of_what_is_loaded_is_one(loaded: set[str]) -> None:
    assert {"havre.api", "havre.network", "sqlalchemy", "structlog"} <= loaded


@pytest.mark.parametrize("module", sorted(WHEN_NEEDED))
def test_a_control_plane_that_stands_by_does_not_hold(module: str, loaded: set[str]) -> None:
    assert module not in loaded, WHEN_NEEDED[module]
