"""Apps that take every process, descriptor and processor, or would outlive who watches them."""

from __future__ import annotations

import os
import signal
import textwrap
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from havre.kernel.units import UnitSpec
from tests.hostile_rig import PRELUDE, HostileRig, found_by_doctor, seen_at_its_bound, tail, while_the_neighbour_answers

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(280)]


BOMBS = {
    "fork": """
        while True:
            try: os.fork() or time.sleep(600)
            except OSError: os.write(1, b"full\\n"); time.sleep(600)
    """,
    "thread": """
        threading.stack_size(65536)
        while True:
            try: threading.Thread(target=time.sleep, args=(600,)).start()
            except RuntimeError: os.write(1, b"full\\n"); time.sleep(600)
    """,
    "descriptor": """
        held = []
        while True:
            try: held.append(open("/dev/null"))
            except OSError: os.write(1, b"full\\n"); time.sleep(600)
    """,
    "connection": """
        held = []
        while True:
            try:
                held.append(socket.create_server(("127.0.0.1", 0)))
                held.append(socket.create_connection(held[-1].getsockname()))
            except OSError: os.write(1, b"full\\n"); time.sleep(600)
    """,
    "processor": "[os.fork() for _ in range(4)]\nwhile True: pass",
    "signal": "while True:\n    try: os.kill(-1, 0)\n    except OSError: pass",
    "output": "while True: os.write(1, b'y' * 65536)",
}  # fmt: skip


MUST_FILL = ("fork", "thread")  # the others need not come to their end: what they do on the way is enough


@pytest.mark.parametrize("kind", BOMBS)
async def test_a_bomb_is_contained_and_its_neighbour_answers(rig: HostileRig, neighbour: UnitSpec, kind: str) -> None:
    async def trial() -> None:
        bomb = await rig.start(rig.spec(PRELUDE + textwrap.dedent(BOMBS[kind]), flavor="XS"))
        with anyio.move_on_after(60 if kind in MUST_FILL else 3):
            while "full\n" not in tail(bomb.log):
                await anyio.sleep(0.05)
        assert kind not in MUST_FILL or "full\n" in tail(bomb.log)
        other = await rig.attack("print('still room')")
        assert other.said == "still room\n", "another app starts while the bomb goes off"
        unit = await rig.engine.get(bomb.id)
        assert unit is not None and unit.state == "running" and processes_of(unit.pid) <= 520
        if kind == "output":
            assert unit.slowed > 0 and os.stat(bomb.log).st_blocks * 512 <= 65 * 1024**2
        with anyio.fail_after(30):
            await rig.engine.stop(bomb.id, grace_s=0)
        assert processes_of(unit.pid) == 0

    await while_the_neighbour_answers(rig, neighbour, trial)


def processes_of(monitor: int | None) -> int:
    """Threads below a monitor."""
    found, waiting = 0, [monitor]
    while waiting:
        pid = waiting.pop()
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            found += len(os.listdir(f"/proc/{pid}/task"))
        except OSError:
            continue
        waiting += [int(each) for each in children]
    return max(0, found - 1)


@pytest.mark.parametrize("kind", MUST_FILL)
async def test_that_an_app_may_have_no_more_processes_is_seen_from_outside(
    rig: HostileRig, neighbour: UnitSpec, kind: str
) -> None:
    spec = rig.spec(PRELUDE + textwrap.dedent(BOMBS[kind]) + "\ntime.sleep(600)", flavor="XS")
    await seen_at_its_bound(rig, neighbour, spec, lambda seen: seen.forks_refused > 0 or seen.is_crowded)


async def test_an_app_that_wants_every_processor_has_its_own_or_doctor_says_that_it_has_all(
    rig: HostileRig, neighbour: UnitSpec
) -> None:
    async def trial() -> None:
        bomb = await rig.attack(SPINNERS, flavor="XS")
        assert bomb.exit is not None and bomb.exit.is_success, bomb
        used = float(bomb.said.split()[1])
        print(f"a bomb of flavor XS had {used:.2f} processors;", end=" ")
        assert used <= 1.3 or "cpu" in found_by_doctor(rig)["limits"].follows, "flavor XS has one"

    await while_the_neighbour_answers(rig, neighbour, trial)


SPINNERS = """
def spin():
    until = time.monotonic() + 3
    while time.monotonic() < until: pass
    os._exit(0)
began = time.monotonic()
children = [pid for pid in (os.fork() for _ in range(6)) if pid or spin()]
for pid in children: os.waitpid(pid, 0)
spent = resource.getrusage(resource.RUSAGE_CHILDREN)
print("processors", (spent.ru_utime + spent.ru_stime) / (time.monotonic() - began))
"""


async def test_what_the_kernel_gives_a_user_is_an_apps_own_or_doctor_says_that_all_share_it(rig: HostileRig) -> None:
    hoarder = await rig.start(rig.spec(PRELUDE + INOTIFY + "print('hoarded', flush=True)\ntime.sleep(600)"))
    with anyio.fail_after(60):
        while "hoarded" not in tail(hoarder.log):
            await anyio.sleep(0.05)
    other = await rig.attack(INOTIFY + "print('had', len(held))")
    await rig.engine.stop(hoarder.id, grace_s=0)
    most = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    is_shared = int(other.said.split()[1]) < min(most, MOST_INOTIFY)
    assert is_shared != found_by_doctor(rig)["own users"].ok or most > 2 * MOST_INOTIFY, other.said


MOST_INOTIFY = 500
INOTIFY = f"""
held = []
while len(held) < {MOST_INOTIFY} and (fd := libc.inotify_init1(0)) >= 0: held.append(fd)
"""


async def test_an_app_cannot_outlive_its_monitor(rig: HostileRig) -> None:
    spec = await rig.start(rig.spec(
        "import os, signal, time\nfor n in range(1, 64):\n    try: signal.signal(n, signal.SIG_IGN)\n    except OSError: pass\n"
        "for _ in range(20):\n    if os.fork() == 0: os.setsid(); time.sleep(600)\nprint('up', flush=True); time.sleep(600)"
    ))  # fmt: skip
    with anyio.fail_after(60):
        while "up" not in spec.log.read_text():
            await anyio.sleep(0.05)
    unit = await rig.engine.get(spec.id)
    assert unit is not None and unit.pid is not None
    below = [each for each in children_of(unit.pid)]
    os.kill(unit.pid, signal.SIGKILL)
    with anyio.fail_after(20):
        while any(Path(f"/proc/{each}").exists() for each in below):
            await anyio.sleep(0.05)
    assert len(below) > 20


def children_of(pid: int) -> Iterator[int]:
    for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield int(each)
        yield from children_of(int(each))
