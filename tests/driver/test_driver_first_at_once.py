"""What the first of all starts, or of all pushes, makes for those that follow: several may be the first."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from havre.drivers.disk.whole import write_whole
from havre.drivers.git import hooks
from tests.driver.bwrap_rig import opened

AT_ONCE = 6


@pytest.fixture(autouse=True)
def together(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each has written before any goes on."""
    rename, all_have = Path.replace, threading.Barrier(AT_ONCE)

    def renamed(self: Path, target: Path) -> Path:
        with contextlib.suppress(threading.BrokenBarrierError):  # the others wait for their turn: nobody meets them
            all_have.wait(0.5)
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", renamed)
    yield


def at_once(work: Callable[[], object]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for each in [pool.submit(work) for _ in range(AT_ONCE)]:
            each.result()


@pytest.mark.anyio
async def test_several_first_starts_find_one_etc() -> None:
    async with opened() as rig:
        engine, spec = rig.engine(), rig.spec("true")
        at_once(lambda: engine._root_of(spec))
        etc = rig.base / "root-etc"
        assert (etc / "hosts").read_text().startswith("127.0.0.1 localhost")
        assert [each.name for each in etc.iterdir() if each.name.endswith(".new")] == []


def test_several_first_pushes_find_the_hooks(tmp_path: Path) -> None:
    at_once(lambda: hooks.write_hooks(tmp_path))
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(hooks.NAMES)


def test_several_who_write_one_file_leave_one_of_theirs(tmp_path: Path) -> None:
    turn = count()
    at_once(lambda: write_whole(tmp_path / "it", str(next(turn)) * 100_000))
    assert [each.name for each in tmp_path.iterdir()] == ["it"]
    found = (tmp_path / "it").read_text()
    assert found in {str(each) * 100_000 for each in range(AT_ONCE)}
