"""Every kind of app goes through `clever create -t TYPE` and `clever deploy`: a quick one of each, the rest in soak."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.room.runtime_suite import QUICK, ROWS, Row, params
from tests.system.kinds import base_images, try_or_prove
from tests.system.rig import Installation, installation

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the installation looks for base images of docker apps."""
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def havre(layouts: Path) -> Iterator[Installation]:
    patient = {"health_timeout_s": 180.0}  # Spring Boot on a busy machine
    with installation(**{"build.images": {"layouts": str(layouts)}, "apps": patient}) as made:
        made.up()
        yield made


@pytest.mark.parametrize("row", params([each for each in ROWS if str(each) in QUICK]))
def test_a_kind_goes_through_the_command_line(havre: Installation, row: Row) -> None:
    try_or_prove(havre, row)


@pytest.mark.soak
@pytest.mark.parametrize("row", params([each for each in ROWS if str(each) not in QUICK]))
def test_every_other_example_does(havre: Installation, layouts: Path, row: Row) -> None:
    if row.runtime == "docker":
        base_images(layouts)
    try_or_prove(havre, row)
