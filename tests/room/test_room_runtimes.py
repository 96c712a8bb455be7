"""Every kind of app with a real example: built, started and asked in the real sandbox. The rows: runtime_suite."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.room import oci_rig
from tests.room.build_rig import BuildRig, open_rig, places
from tests.room.runtime_suite import Row, conforms, params

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]


@pytest.fixture
async def rig() -> AsyncIterator[BuildRig]:
    with places() as paths:
        made = open_rig(paths)
        try:
            yield made
        finally:
            await made.end()


@pytest.mark.parametrize("row", params())
async def test_an_example_is_built_answers_and_ends_when_told(rig: BuildRig, row: Row) -> None:
    if row.runtime == "docker":
        await oci_rig.give_base_images(rig)
    await conforms(rig, row)
