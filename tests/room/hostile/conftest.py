"""One installation of apps that mean harm for each file of trials, and an app that serves beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from havre.kernel.units import UnitSpec
from tests.hostile_rig import HostileRig, open_rig


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def rig() -> AsyncIterator[HostileRig]:
    with open_rig() as made:
        try:
            yield made
        finally:
            await made.end()


@pytest.fixture(scope="module")
async def neighbour(rig: HostileRig) -> UnitSpec:
    return await rig.neighbour()
