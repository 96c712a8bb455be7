"""Every kind of app with a real example: built, started and asked in the real sandbox. The rows: runtime_suite."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.room import oci_rig
from tests.room.build_rig import BuildRig, open_rig, places
from tests.room.runtime_suite import QUICK, ROWS, Row, conforms, params

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]


@pytest.fixture
async def rig() -> AsyncIterator[BuildRig]:
    with places() as paths:
        made = open_rig(paths)
        try:
            yield made
        finally:
            await made.end()


@pytest.mark.parametrize("row", params([each for each in ROWS if str(each) not in QUICK]))
async def test_an_example_is_built_answers_and_ends_when_told(rig: BuildRig, row: Row) -> None:
    if row.runtime == "docker":
        await oci_rig.give_base_images(rig)
    await conforms(rig, row)


@pytest.mark.soak
@pytest.mark.parametrize("row", params([each for each in ROWS if str(each) in QUICK]))
async def test_so_does_what_goes_through_the_command_line_in_every_run(rig: BuildRig, row: Row) -> None:
    await conforms(rig, row)
