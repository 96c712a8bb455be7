"""Migrations over the wire, for operators: begun, confirmed, paused, taken back, read and proven."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.decide.network_rig import example
from tests.room.api_rig import ApiRig, api_rig

pytestmark = pytest.mark.anyio
PATH = "/v2/havre/network/migrations"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[ApiRig]:
    async with api_rig(tmp_path) as made:
        yield made


async def test_a_migration_is_begun_and_read_with_what_happened(rig: ApiRig) -> None:
    operator = rig.operator
    made = await operator.call("POST", PATH, {"id": "origin", "intent": example()})
    assert made.status_code == 201
    assert (made.json()["stage"], made.json()["goal"], made.json()["paused"]) == ("DRAFT", "CLEANED", False)
    assert [each["id"] for each in await operator.get(PATH)] == ["origin"]
    done = await operator.call("POST", f"{PATH}/origin/confirmations", {"what": "t1", "words": "their NOC"})
    assert [(each["kind"], each["words"]) for each in done.json()["evidence"]] == [("confirmed", "t1: their NOC")]
    paused = await operator.call("POST", f"{PATH}/origin/pause")
    assert (paused.json()["paused"], paused.json()["note"]) == (True, "paused")
    resumed = await operator.call("POST", f"{PATH}/origin/resume", {"goal": "FLIPPED"})
    assert (resumed.json()["paused"], resumed.json()["goal"]) == (False, "FLIPPED")
    text = (await operator.get(f"{PATH}/origin/proof"))["text"]
    assert text.startswith("# Migration origin") and "Confirmed: t1: their NOC" in text


async def test_every_mistake_of_an_intent_comes_back_with_its_line(rig: ApiRig) -> None:
    wrong = example().replace("preference: 120", "preference: x").replace("prepends: 2", "prepends: 99")
    refused = await rig.operator.call("POST", PATH, {"id": "origin", "intent": wrong})
    assert refused.status_code == 400
    assert "upstreams.t1.preference" in refused.text and "upstreams.hp.prepends" in refused.text
    assert await rig.operator.get(PATH) == []


async def test_what_is_not_there_or_there_already_is_said(rig: ApiRig) -> None:
    assert (await rig.operator.call("GET", f"{PATH}/none")).status_code == 404
    assert (await rig.operator.call("POST", f"{PATH}/none/revert")).status_code == 404
    await rig.operator.call("POST", PATH, {"id": "origin", "intent": example()})
    assert (await rig.operator.call("POST", PATH, {"id": "origin", "intent": example()})).status_code == 409
    assert (await rig.operator.call("POST", f"{PATH}/origin/revert")).status_code == 409  # it is at its beginning
    assert (await rig.operator.call("POST", PATH, {"id": "Not a name", "intent": example()})).status_code == 400
