"""What operators are told of the machine: the findings of `havre doctor`, the disk by part, operations step by step."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from havre import observe
from havre.kernel import doctor, machine
from havre.kernel.operations import Operation, Run, Step
from havre.observe import entries
from havre.observe.model import AccessLine
from tests.room.api_rig import ApiRig, api_rig

pytestmark = pytest.mark.anyio
MIB = 1024**2


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[ApiRig]:
    async with api_rig(tmp_path) as made:
        yield made


async def test_the_findings_are_those_of_the_command(rig: ApiRig) -> None:
    shown = await rig.operator.get("/v2/havre/doctor")
    printed = [vars(each) for each in doctor.examine(rig.kernel.config, rig.kernel.paths, running=True)]
    assert [each["what"] for each in shown] == [each["what"] for each in printed]
    changing = ("disk",)  # how many MiB are free
    assert [each for each in shown if each["what"] not in changing] == [
        each for each in printed if each["what"] not in changing
    ]


async def test_each_part_of_the_disk_is_told_with_its_limit(rig: ApiRig) -> None:
    paths = rig.kernel.paths
    (paths.releases / "r").write_bytes(b"x" * 3 * MIB)
    (paths.data / "logs.db-wal").write_bytes(b"x" * 2 * MIB)
    (paths.data / "of somebody").write_bytes(b"x" * MIB)
    found = await rig.operator.get("/v2/havre/disk")
    parts = {each["name"]: each for each in found["parts"]}
    assert 3 * MIB <= parts["releases"]["bytes"] < 4 * MIB
    assert 2 * MIB <= parts["logs"]["bytes"] < 3 * MIB
    assert MIB <= parts["rest"]["bytes"] < 2 * MIB
    assert parts["cache"]["limitBytes"] == rig.kernel.config.build.cache_bytes and parts["cache"]["limitOf"] == "all"
    assert (parts["releases"]["limitOf"], parts["edge"]["limitBytes"]) == ("release", None)
    assert 0 < found["freeBytes"] < found["totalBytes"]


async def test_the_disk_is_looked_through_again_only_after_a_while(rig: ApiRig) -> None:
    def releases(found: dict[str, Any]) -> int:
        return next(each["bytes"] for each in found["parts"] if each["name"] == "releases")

    before = releases(await rig.operator.get("/v2/havre/disk"))
    (rig.kernel.paths.releases / "r").write_bytes(b"x" * MIB)
    assert releases(await rig.operator.get("/v2/havre/disk")) == before
    rig.clock.at += int(machine.DISK_KEPT_S * 1000)
    assert releases(await rig.operator.get("/v2/havre/disk")) >= before + MIB


async def test_what_is_not_measured_in_time_is_unknown_and_nothing_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * MIB)
    parts = (machine.Part("here", (tmp_path / "a",)), machine.Part("nowhere", (tmp_path / "b",)))
    seen = machine.measure(parts, limit_s=20)
    assert [each.name for each in seen] == ["here", "nowhere"]
    assert (seen[0].used_bytes or 0) >= MIB and seen[1].used_bytes == 0
    assert [each.used_bytes for each in machine.measure(parts, limit_s=0)] == [None, None]


async def test_an_operation_under_way_is_told_with_its_steps(rig: ApiRig) -> None:
    async def nothing(_: Run[int]) -> None: ...

    kind = Operation("trial.wait", int, (Step("first", nothing), Step("second", nothing)))
    rig.kernel.operations.register([kind])
    await rig.write(lambda tx: rig.kernel.operations.start(tx, kind, 1, key="thing"))
    (seen,) = (await rig.operator.get("/v2/havre/status"))["operations"]
    assert (seen["kind"], seen["key"]) == ("trial.wait", "thing")
    assert [(each["name"], each["state"]) for each in seen["steps"]] == [("first", "waiting"), ("second", "waiting")]


async def test_who_looks_at_an_app_is_told_its_figures_and_then_what_changes(rig: ApiRig) -> None:
    owner = await rig.organisation(rig.operator)
    app = await rig.create_app(rig.operator, owner)
    path = f"/v4/stats/organisations/{owner}/resources/{app}"
    line = AccessLine(
        app_id="", at=rig.clock.now(), host="x.test", method="GET", path="/", scheme="https", protocol="HTTP/2.0",
        status=404, duration_ms=1, bytes_in=1, bytes_out=1, source_ip="192.0.2.1", source_port=1,
    )  # fmt: skip
    observe._room(rig.kernel).signals.keep_access([(app, entries.kept(line))], cursors=[])
    answer = await rig.operator.call("GET", path + "/live?interval=PT1H&span=PT30M&limit=2")
    first, second = answer.text.strip().split("\n\n")
    assert first.startswith("event: REQUESTS\n") and second.startswith("event: HEARTBEAT\n")
    told = json.loads(first.partition("data: ")[2])["spans"]
    assert told == await rig.operator.get(path + "/requests?interval=PT1H&span=PT30M")
    assert told[-1]["statusCodes"] == {"404": 1}
