"""The room as a process of its own that is killed, while apps go on writing."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from havre.kernel.clock import SystemClock
from tests.room.observe_rig import Rig, opened, running
from tests.room.test_room_observe_access import entry, kept, roll, take, write

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).resolve().parents[2]
LIVES = 6


async def test_nothing_is_lost_or_kept_twice_when_the_process_is_killed_while_it_reads(tmp_path: Path) -> None:
    chance = random.Random(7)
    names = ("a", "b", "c")
    async with opened(tmp_path, clock=SystemClock()) as rig:
        for name in names:
            await rig.add(name, instance_id=name)
    written = requests = 0
    for life in range(LIVES):
        command = [sys.executable, "-m", "tests.room.test_room_observe_killed", str(tmp_path)]
        process = await anyio.open_process(command, cwd=ROOT, stderr=sys.stderr)
        try:
            assert process.stdout is not None
            with anyio.fail_after(30):
                await BufferedByteReceiveStream(process.stdout).receive_until(b"reading", 100)
            for _ in range(chance.randrange(20, 120)):
                for name in names:
                    rig.append(name, "".join(f"{number}\n" for number in range(written, written + 40)))
                written += 40
                write(rig, "".join(entry(number) for number in range(requests, requests + 5)))
                requests += 5
                await anyio.lowlevel.checkpoint()
            if chance.random() < 0.5:
                roll(rig, life)
        finally:
            process.kill()
            await process.aclose()
    async with opened(tmp_path, clock=SystemClock()) as rig:
        await rig.take()
        await take(rig)
        for name in names:
            assert rig.messages(instance_ids=(name,)) == [str(number) for number in range(written)]
        assert kept(rig) == [f"/{number}" for number in range(requests)]


async def _read_until_killed(folder: Path) -> None:
    async with opened(folder, clock=SystemClock()) as rig:
        await _announce(rig)


async def _announce(rig: Rig) -> None:
    async with running(rig):
        print("reading", flush=True)
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(_read_until_killed, Path(sys.argv[1]))
