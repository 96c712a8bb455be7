"""Every kind of app goes through `clever create -t TYPE` and `clever deploy`: a quick one of each here, of node and static
in the other trials of this folder, the rest in soak."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.room.runtime_suite import QUICK, ROWS, Row, params
from tests.system.kinds import base_images, is_proving, try_or_prove
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


@pytest.fixture(scope="module")
def tried(request: pytest.FixtureRequest, havre: Installation, layouts: Path) -> Iterator[Callable[[Row], None]]:
    """Returns when a row went well, else raises. Two go at a time, for each waits more than it works; proofs are
    measured one at a time."""
    own = [each for each in request.session.items if each.path == request.path and isinstance(each, pytest.Function)]
    rows: list[Row] = [each.callspec.params["row"] for each in own]
    if any(row.runtime == "docker" for row in rows):
        base_images(layouts)
    pool = ThreadPoolExecutor(1 if is_proving() else 2)
    begun = {str(row): pool.submit(try_or_prove, havre, row) for row in rows}
    try:
        yield lambda row: begun[str(row)].result()
    finally:
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("row", params([each for each in ROWS if str(each) in QUICK]))
def test_a_kind_goes_through_the_command_line(tried: Callable[[Row], None], row: Row) -> None:
    tried(row)


@pytest.mark.soak
@pytest.mark.parametrize("row", params([each for each in ROWS if str(each) not in QUICK]))
def test_every_other_example_does(tried: Callable[[Row], None], row: Row) -> None:
    tried(row)
