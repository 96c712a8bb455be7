"""A state database that takes no writes for a while: nothing ends because of it, and what was under way goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from havre.base.errors import UnavailableError
from havre.kernel.clock import SystemClock
from havre.kernel.context import RotatingLog
from havre.kernel.events import Bus
from havre.kernel.operations import SCHEMA, Operation, Operations, Run, Step
from havre.kernel.store import Store, events_schema

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(os.getuid() != 0, reason="mounts a small disk")]


@contextmanager
def small_disk() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="hvs-", dir="/tmp"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "small", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
        place.rmdir()


def fill(place: Path) -> Path:
    file = place / "filler"
    with open(file, "wb", buffering=0) as out:
        for size in (65536, 1):
            try:
                while True:
                    out.write(b"x" * size)
            except OSError:
                continue
    return file


class Impatient(Operations):
    LEASE_MS = 300  # a lease is renewed after a third


async def test_an_operation_outlives_a_full_disk() -> None:
    go_on, begun = anyio.Event(), anyio.Event()

    async def wait(_: Run[str]) -> int:
        begun.set()
        await go_on.wait()
        return 7

    with small_disk() as place:
        bus, clock = Bus(), SystemClock()
        store = Store.open(f"sqlite:///{place / 'state.db'}", clock=clock, bus=bus)
        try:
            await store.migrate([events_schema(), SCHEMA])
            operation = Operation("trial.wait", str, (Step("wait", wait),))
            engine = Impatient(store=store, bus=bus, clock=clock, node="n")
            engine.register((operation,))
            with anyio.fail_after(60):
                async with anyio.create_task_group() as group:
                    group.start_soon(engine.run)
                    id = await store.write(lambda tx: engine.start(tx, operation, "x", key="k"))
                    await begun.wait()
                    filler = fill(place)
                    refused = 0
                    while refused < 5:  # each longer than the engine takes to renew
                        with pytest.raises(UnavailableError, match="does not take writes"):
                            await store.write(lambda tx: engine.start(tx, operation, "y" * 500_000, key="k"))
                        refused += 1
                        await clock.sleep(0.2)
                    go_on.set()
                    await clock.sleep(0.3)
                    filler.unlink()
                    assert (await engine.wait(id)).status == "done"
                    group.cancel_scope.cancel()
        finally:
            store.close()


def test_a_log_on_a_full_disk_loses_lines_and_ends_nobody() -> None:
    with small_disk() as place:
        log = RotatingLog(place / "havre.log", limit_bytes=1000)
        log.write("before\n")
        filler = fill(place)
        for _ in range(100):
            log.write("lost " * 1000 + "\n")
        filler.unlink()
        log.write("after\n")
        assert "after" in (place / "havre.log").read_text()


def test_a_log_that_cannot_roll_goes_on_in_its_file(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from havre.kernel.context import RotatingLog\n"
    code += "log = RotatingLog(Path(sys.argv[1]), limit_bytes=10)\nfor _ in range(5): log.write('0123456789abc\\n')"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.log")], check=True)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["x.log", "x.log.1"]
