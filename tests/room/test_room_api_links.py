"""What links applications, from both of its ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.room.api_rig import ApiRig, api_rig

pytestmark = pytest.mark.anyio


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[ApiRig]:
    async with api_rig(tmp_path) as made:
        yield made


async def test_an_application_says_who_needs_it(rig: ApiRig) -> None:
    owner = await rig.organisation(rig.operator)
    mail, shop, admin = [await rig.create_app(rig.operator, owner, name) for name in ("mail", "shop", "admin")]
    base = f"/v2/organisations/{owner}/applications"

    async def needing(app: str) -> list[str]:
        return [each["name"] for each in await rig.operator.get(f"{base}/{app}/dependents")]

    assert await needing(mail) == []
    for app in (shop, admin):
        await rig.operator.do("PUT", f"{base}/{app}/dependencies/{mail}")
    assert await needing(mail) == ["admin", "shop"]
    assert await needing(shop) == []
    await rig.operator.do("DELETE", f"{base}/{shop}/dependencies/{mail}")
    assert await needing(mail) == ["admin"]
    await rig.operator.do("DELETE", f"{base}/{admin}")
    assert await needing(mail) == []
