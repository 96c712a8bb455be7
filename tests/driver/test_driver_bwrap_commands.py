"""What the monitor of a unit is told (`drivers/bwrap/control.py`)."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest

from havre.base.errors import UnavailableError
from havre.base.ids import UnitId
from havre.drivers.bwrap import Bubblewrap, UnitSpec, control
from tests.driver.bwrap_rig import Rig, opened

pytestmark = pytest.mark.anyio
POLITE = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with opened() as found:
        yield found


async def started(rig: Rig, engine: Bubblewrap) -> UnitSpec:
    spec = rig.spec("/bin/bash", "-c", POLITE)
    await engine.start(spec)
    with anyio.fail_after(30):
        while not spec.log.exists() or "up" not in spec.log.read_text():
            await anyio.sleep(0.05)
    return spec


def connect(engine: Bubblewrap, id: UnitId) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(20)
    made.connect(str(engine._records.control(id)))
    return made


def answer(of: socket.socket) -> dict[str, Any]:
    with of, of.makefile() as lines:
        said: dict[str, Any] = json.loads(lines.readline())
        return said


async def test_who_connects_and_says_nothing_yet_keeps_nobody_waiting_and_may_say_it_later(rig: Rig) -> None:
    engine = rig.engine()
    spec = await started(rig, engine)
    silent, begun = connect(engine, spec.id), connect(engine, spec.id)
    begun.sendall(b"quie")
    await engine.accept(spec.id)
    assert (await engine.get(spec.id)).accepting
    begun.sendall(b"sce\n")
    assert (await anyio.to_thread.run_sync(answer, begun))["accepting"] is False
    silent.sendall(b"accept 0\n")
    assert (await anyio.to_thread.run_sync(answer, silent))["accepting"] is True


async def test_so_many_who_say_nothing_are_held_and_the_oldest_goes(rig: Rig) -> None:
    engine = rig.engine()
    spec = await started(rig, engine)
    many = [connect(engine, spec.id) for _ in range(control.MOST_COMING + 1)]
    await engine.quiesce(spec.id)
    assert many[0].recv(1) == b"" and many[1].recv(1) == b""
    many[-1].sendall(b"accept 0\n")
    assert (await anyio.to_thread.run_sync(answer, many[-1]))["accepting"] is True
    for each in many:
        each.close()


@pytest.mark.parametrize("order", ["accept", "accept x", "stop soon"])
async def test_what_is_not_understood_is_an_error_and_the_unit_lives_on(rig: Rig, order: str) -> None:
    engine = rig.engine()
    spec = await started(rig, engine)
    with pytest.raises(UnavailableError, match="did not understand"):
        await engine._command(spec.id, order)
    await engine.accept(spec.id)


async def test_an_app_whose_monitor_was_not_reached_once_ends_in_its_own_way(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = rig.engine()
    spec = await started(rig, engine)
    tell: Callable[..., Any] = engine._command
    left = ["the first"]

    async def command(id: UnitId, order: str, **more: Any) -> Any:
        if order.startswith("stop") and left:
            left.pop()
            raise UnavailableError("the instance's monitor does not answer")
        return await tell(id, order, **more)

    monkeypatch.setattr(engine, "_command", command)
    assert (await engine.stop(spec.id, grace_s=20)).code == 3
    assert spec.log.read_text().endswith("bye\n")
