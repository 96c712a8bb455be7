"""What every test may use: AnyIO on asyncio, and the databases that a room runs on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres_rig import PostgresRig

settings.register_profile("havre", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("havre")  # how long an example takes says how busy the machine is

LONG_FIRST = (  # what keeps a processor busy beside what waits
    "cli_coverage",
    "healing",
    "console_people",
    "kinds",
    "console_states",
    "survival",
    "console",
    "first_push",
    "edge",
    "deploy_options",
    "network_lab",
    "failed_deploys",
    "hard_stops",
    "backup",
    "sources",
    "deploys",
    "launch",
    "stacks",
    "submodules",
    "network_tutorial",
    "neighbours",
    "clock",
    "clients",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of the whole installation's files the long ones first and the short ones last, so that no worker is left alone
    with one at the end: a worker takes its next file while it still has two tests of the one before."""

    def rank(item: pytest.Item) -> int:
        name = item.path.stem.removeprefix("test_system_")
        if item.path.parent.name != "system":
            return -1
        return LONG_FIRST.index(name) if name in LONG_FIRST else len(LONG_FIRST)

    items.sort(key=rank)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresRig]:
    """A PostgreSQL server of this run, on a unix socket."""
    rig = PostgresRig(tmp_path_factory.mktemp("pg"))
    rig.start()
    try:
        yield rig
    finally:
        rig.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database; every room test that takes it runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    rig: PostgresRig = request.getfixturevalue("postgres")
    return rig.new_database()
