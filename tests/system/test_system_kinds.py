"""Every kind of app goes through `clever create -t TYPE` and `clever deploy`: a quick one of each, the rest in soak."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.room.runtime_suite import ROWS, Row, params
from tests.system.kinds import prove, record
from tests.system.rig import Installation, installation

pytestmark = pytest.mark.timeout(1800)
QUICK = (
    "node-hello",
    "bun-hono",
    "python-hello gunicorn",
    "static-site",
    "php-slim fpm",
    "ruby-sinatra",
    "jar-hello 17",
)


@pytest.fixture(scope="module")
def havre() -> Iterator[Installation]:
    with installation() as made:
        made.up()
        yield made


@pytest.mark.parametrize("row", params([each for each in ROWS if str(each) in QUICK]))
def test_a_kind_goes_through_the_command_line(havre: Installation, row: Row) -> None:
    record(prove(havre, row))


@pytest.mark.soak
@pytest.mark.parametrize("row", params([each for each in ROWS if str(each) not in QUICK]))
def test_every_other_example_does(havre: Installation, row: Row) -> None:
    record(prove(havre, row))
