"""Apps that take too much memory."""

from __future__ import annotations

import textwrap

import anyio
import pytest

from havre.kernel.units import UnitSpec
from tests.hostile_rig import PRELUDE, HostileRig, found_by_doctor, while_the_neighbour_answers

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(280)]


MEMORY = {
    "its own": "held = []\nwhile True: held.append(bytearray(1 << 20))",
    "of many": """
        most, (reading, writing) = globals().get("MOST", 1 << 30) >> 24, os.pipe()
        for _ in range(most):
            if os.fork() == 0:
                held = bytearray(b"x") * (1 << 24)
                os.write(writing, b".")
                time.sleep(600)
        def count():
            for _ in range(most): os.read(reading, 1)
            print("more than its flavor", flush=True)
            os._exit(0)
        threading.Thread(target=count, daemon=True).start()
        os.wait()
        os._exit(1)
    """,
    "shared by name": """
        held = []
        while len(held) << 24 < globals().get("MOST", 1 << 40):
            fd = os.memfd_create("x"); os.write(fd, b"x" * (1 << 24)); held.append(fd)
        print("more than its flavor")
    """,
}  # fmt: skip


@pytest.mark.parametrize("kind", ["its own", "of many", "shared by name"])
async def test_an_app_that_takes_too_much_memory_is_ended_alone_or_doctor_says_that_it_is_not(
    rig: HostileRig, neighbour: UnitSpec, kind: str
) -> None:
    """Where no group limits memory, a process is refused more; what many have, and what has but a name, nobody stops."""
    is_limited = "memory" not in found_by_doctor(rig)["limits"].follows
    code = MEMORY[kind] if is_limited else f"MOST = {640 << 20}\n{textwrap.dedent(MEMORY[kind])}"

    async def trial() -> None:
        bomb = await rig.attack(code, limit_s=60)
        assert bomb.exit is not None, bomb
        if is_limited:
            assert bomb.exit.oom and str(bomb.exit) == "out of memory", bomb
        elif kind == "its own":
            assert not bomb.exit.is_success and "MemoryError" in bomb.said, bomb
        else:
            assert bomb.exit.is_success and bomb.said == "more than its flavor\n", bomb

    await while_the_neighbour_answers(rig, neighbour, trial)


async def test_more_memory_than_a_flavor_has_is_the_end_or_is_seen_from_outside(rig: HostileRig) -> None:
    bomb = await rig.start(rig.spec(PRELUDE + LARGE, flavor="nano"))
    with anyio.fail_after(60):
        while (
            not ((unit := await rig.engine.get(bomb.id)) and unit.exit)
            and not (await rig.engine.strain(bomb.id)).is_large
        ):
            await anyio.sleep(0.1)
    is_limited = "memory" not in found_by_doctor(rig)["limits"].follows
    assert unit is not None and (unit.exit is not None and unit.exit.oom) == is_limited
    await rig.engine.stop(bomb.id, grace_s=0)


LARGE = """
children = [os.fork() for _ in range(3)]
held = bytearray(b"x") * (160 << 20)
try:
    os.wait()  # whichever of them is ended for want of memory, the first one hears of it
    raise SystemExit(1)
except ChildProcessError:
    time.sleep(600)
"""
