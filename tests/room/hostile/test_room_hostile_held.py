"""Apps that hold memory under a name instead of in a process, and apps that hold every way out: seen from outside."""

from __future__ import annotations

import textwrap

import anyio
import pytest

from havre.base.ids import UnitId
from havre.drivers.bwrap import memory, strain
from tests.hostile_rig import PRELUDE, HostileRig, found_by_doctor, open_rig, tail

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
MIB = 1 << 20
# Flavor pico has 256 MiB, its files half of that: more than all of it is held in no process's own memory.
HELD = {
    "memfd": """
        held = [os.memfd_create("x") for _ in range(30)]
        for fd in held: [os.write(fd, b"x" * (1 << 20)) for _ in range(10)]
    """,
    "memfd and files": """
        held = [os.memfd_create("x") for _ in range(20)]
        for fd in held: [os.write(fd, b"x" * (1 << 20)) for _ in range(10)]
        for place in ("/tmp/a", "/dev/shm/b"):
            with open(place, "wb") as file: [file.write(b"x" * (1 << 20)) for _ in range(40)]
    """,
    "memfd that another process has, too": """
        held = [os.memfd_create("x") for _ in range(30)]
        for fd in held: [os.write(fd, b"x" * (1 << 20)) for _ in range(10)]
        if os.fork() == 0: time.sleep(600)
    """,
}
# All of it is the same memory: what is mapped, what is open twice and what two processes have is there once.
ONCE = """
    import mmap
    fd = os.memfd_create("x")
    [os.write(fd, b"x" * (1 << 20)) for _ in range(120)]
    other, mapped = os.dup(fd), mmap.mmap(fd, 120 << 20)
    sum(mapped[n] for n in range(0, 120 << 20, 4096))
    with open("/tmp/a", "wb") as file: [file.write(b"x" * (1 << 20)) for _ in range(60)]
    place = os.open("/tmp/a", os.O_RDWR)
    written = mmap.mmap(place, 60 << 20)
    sum(written[n] for n in range(0, 60 << 20, 4096))
    if os.fork() == 0:
        sum(mapped[n] for n in range(0, 120 << 20, 4096))
        time.sleep(600)
"""


@pytest.mark.parametrize("kind", HELD)
async def test_memory_that_has_but_a_name_is_the_end_or_is_seen_from_outside(rig: HostileRig, kind: str) -> None:
    code = PRELUDE + textwrap.dedent(HELD[kind]) + "\nprint('held', flush=True)\ntime.sleep(600)"
    bomb = await rig.start(rig.spec(code, flavor="pico"))
    with anyio.fail_after(60):
        while (
            not ((unit := await rig.engine.get(bomb.id)) and unit.exit)
            and not (await rig.engine.strain(bomb.id)).is_large
        ):
            await anyio.sleep(0.1)
    assert unit is not None
    if "memory" not in found_by_doctor(rig)["limits"].follows:
        assert unit.exit is not None and unit.exit.oom, tail(bomb.log)
    else:
        assert unit.exit is None, tail(bomb.log)
    await rig.engine.stop(bomb.id, grace_s=0)


async def test_memory_that_is_shared_is_counted_once(rig: HostileRig) -> None:
    code = PRELUDE + textwrap.dedent(ONCE) + "\nprint('held', flush=True)\ntime.sleep(600)"
    app = await rig.start(rig.spec(code, flavor="XS"))
    with anyio.fail_after(60):
        while "held" not in tail(app.log):
            await anyio.sleep(0.05)
    unit = await rig.engine.get(app.id)
    assert unit is not None and unit.pid is not None and unit.exit is None
    below, inside = strain._below(unit.pid), strain._chain(unit.pid)[-1]
    assert memory.is_large(below, inside, 180 * MIB), "it has 180 MiB and its own"
    assert not memory.is_large(below, inside, 240 * MIB), "nothing is there twice"
    await rig.engine.stop(app.id, grace_s=0)


async def test_an_app_that_holds_every_way_out_is_seen_until_it_lets_go_and_goes_on() -> None:
    with open_rig(way_out="proxy") as rig:
        hoarder = await rig.start(rig.spec(PRELUDE + textwrap.dedent(HOARDS)))
        calm = await rig.start(rig.spec("import time; time.sleep(600)"))

        async def is_out(id: UnitId) -> bool:
            unit = await rig.engine.get(id)
            return unit is not None and unit.is_out

        with anyio.fail_after(60):
            while not await is_out(hoarder.id):
                await anyio.sleep(0.05)
            assert not await is_out(calm.id)
            while await is_out(hoarder.id):
                await anyio.sleep(0.05)
        unit = await rig.engine.get(hoarder.id)
        assert unit is not None and unit.state == "running", "it goes on"
        await rig.end()


HOARDS = """
held = []
while len(held) < 240:
    try: held.append(socket.create_connection(("127.0.0.1", 3128)))
    except OSError: time.sleep(0.1)
time.sleep(3)
for each in held: each.close()
time.sleep(600)
"""
