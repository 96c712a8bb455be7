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


def loaded_by(*argv: str) -> set[str]:
    command = [sys.executable, "-X", "importtime", *argv]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr
    return {line.rsplit("|", 1)[1].strip() for line in told.splitlines() if line.count("|") == 2}


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    return loaded_by("-m", "havre.daemon", "--help")


def test_the_list_of_what_is_loaded_is_one(loaded: set[str]) -> None:
    assert {"havre.api", "havre.network", "sqlalchemy", "structlog"} <= loaded


@pytest.mark.parametrize("module", sorted(WHEN_NEEDED))
def test_a_control_plane_that_stands_by_does_not_hold(module: str, loaded: set[str]) -> None:
    assert module not in loaded, WHEN_NEEDED[module]


def test_a_command_of_the_operator_loads_what_it_needs_and_no_room() -> None:
    found = loaded_by("-c", "import havre.cli.main")
    assert "havre.client" in found
    assert found.isdisjoint({"havre.network", "havre.apps", "havre.api", "havre.kernel.backup", "fastapi"})


def test_the_operators_commands_that_are_loaded_when_they_are_called_are_there() -> None:
    told = subprocess.run([sys.executable, "-c", EACH], capture_output=True, text=True, check=True, timeout=60).stdout
    assert {"backup", "certs", "network", "restore", "stacks", "up"} <= set(told.split())


def test_what_ends_an_installation_needs_little_of_it() -> None:
    found = loaded_by("-m", "havre.ending", "--help")
    assert {"havre.drivers.caddy", "havre.drivers.bwrap.engine"} <= found
    assert found.isdisjoint({"havre.edge", "havre.apps", "havre.api", "fastapi", "sqlalchemy"})


EACH = """
import click
from havre.cli.main import main
context = click.Context(main)
for name in main.list_commands(context):
    command = main.get_command(context, name)
    assert command.name == name, (name, command.name)
    print(name)
"""
