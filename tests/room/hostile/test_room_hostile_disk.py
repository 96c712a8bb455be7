"""Apps and builds that write too much."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable

import anyio
import pytest

from havre.drivers import disk
from havre.kernel.units import Strain, UnitSpec
from tests.hostile_rig import PRELUDE, HostileRig, seen_at_its_bound, while_the_neighbour_answers

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(280)]


FILLERS = {
    "bytes": """
        for place in ("/tmp", "/var/tmp", "/dev/shm", "/run", "/home/bas", "."):
            try:
                with open(place + "/fill", "wb") as f:
                    while True: f.write(b"x" * (1 << 16))
            except OSError as error:
                if error.errno != errno.ENOSPC: leak(f"{place}: {error!r}")
        print(sum(os.stat(p + "/fill").st_size for p in ("/tmp", "/var/tmp", "/dev/shm", "/run", "/home/bas", ".")))
    """,
    "files": """
        made = 0
        for place in ("/tmp", "."):
            try:
                while True: os.close(os.open(f"{place}/{made}", os.O_CREAT | os.O_WRONLY)); made += 1
            except OSError as error:
                if error.errno != errno.ENOSPC: leak(f"{place}: {error!r}")
        print(made)
    """,
}  # fmt: skip


@pytest.mark.parametrize("kind", FILLERS)
async def test_an_app_that_fills_its_disk_fills_its_own(rig: HostileRig, neighbour: UnitSpec, kind: str) -> None:
    free = os.statvfs(rig.paths.data)

    async def trial() -> None:
        filler = await rig.attack(FILLERS[kind], limit_s=60)
        assert filler.leaks == [] and filler.exit is not None and filler.exit.is_success, filler
        most = 128 * 1024**2 if kind == "bytes" else 16_384
        assert 0 < int(filler.said.split()[-1]) <= most

    await while_the_neighbour_answers(rig, neighbour, trial)
    assert os.statvfs(rig.paths.data).f_favail > free.f_favail - 2000


SEEN: dict[str, Callable[[Strain], bool]] = {
    "bytes": lambda seen: seen.is_full,
    "files": lambda seen: seen.has_all_files,
}


@pytest.mark.parametrize("kind", SEEN)
async def test_that_an_apps_disk_is_full_is_seen_from_outside(rig: HostileRig, neighbour: UnitSpec, kind: str) -> None:
    spec = rig.spec(PRELUDE + textwrap.dedent(FILLERS[kind]) + "\ntime.sleep(600)")
    await seen_at_its_bound(rig, neighbour, spec, SEEN[kind])


BUILDS = {
    "bytes": ("open('.cache/fill', 'wb').truncate(1)\nwith open('.cache/fill', 'ab') as f:\n    while True: f.write(b'x' * (1 << 20))",
              "the build cache has more than 96 MiB"),
    "many files": ("n = 0\nwhile True:\n    open(f'.cache/{n}', 'w').close(); n += 1", "the build cache has more than 3000 files"),
    "deep folders": ("os.chdir('.cache')\nfor _ in range(3000): os.mkdir('d' * 8); os.chdir('d' * 8)\ntime.sleep(600)",
                     "the build cache: folders are nested too deep"),
    "hidden folders": ("os.mkdir('.cache/x')\nfor n in range(4000): open(f'.cache/x/{n}', 'w').close()\nos.chmod('.cache/x', 0)\ntime.sleep(600)",
                       "the build cache has more than 3000 files"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BUILDS)
async def test_a_build_that_writes_too_much_is_stopped_and_it_is_said(rig: HostileRig, kind: str) -> None:
    code, words = BUILDS[kind]
    spec = await rig.start(rig.build_spec("os.chdir('/home/bas')\n" + code, (96 * 1024**2, 3000), deadline_s=60))
    with anyio.fail_after(90):
        ended = await rig.engine.wait(spec.id)
    assert ended.quota == words, (ended, spec.log.read_text())
    folder = spec.binds[-1].source
    assert disk.size_bytes(folder) < 2048 * 1024**2
    disk.remove(folder)
    assert not folder.exists()
