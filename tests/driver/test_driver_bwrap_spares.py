"""What is made ahead of a start: used once, replaced when it is gone, and gone with whoever made it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from havre.base.errors import UnavailableError
from havre.drivers.bwrap.spares import Spares


def until(claim: Callable[[], bool], what: str, limit_s: float = 30) -> None:
    deadline = time.monotonic() + limit_s
    while not claim():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hvs ", dir="/tmp") as made:
        yield Path(made)


def a_network() -> int:
    return os.open("/proc/self/ns/net", os.O_RDONLY)


def test_each_is_handed_out_once_and_made_again(folder: Path) -> None:
    spares = Spares(folder, a_network)
    spares.refill()
    ready = spares._monitor
    spares.refill()
    assert ready is not None and spares._monitor is ready, "one is enough"
    first, second = spares.monitor(), spares.monitor()
    assert first is ready and second is not ready
    assert spares.network().fileno() != spares.network().fileno()
    for each in (first, second):
        each.end()
    spares.close()


def test_many_at_once_get_one_each(folder: Path) -> None:
    spares, taken = Spares(folder, a_network), []
    spares.refill()

    def take() -> None:
        taken.append((spares.monitor(), spares.network()))
        spares.refill()

    threads = [threading.Thread(target=take) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({one.pid for one, _ in taken}) == 6
    assert len({other.fileno() for _, other in taken}) == 6
    for one, _ in taken:
        one.end()
    spares.close()


def test_a_killed_one_is_replaced_when_it_is_wanted(folder: Path) -> None:
    spares = Spares(folder, a_network)
    spares.refill()
    killed = spares._monitor
    assert killed is not None
    os.kill(killed.pid, signal.SIGKILL)
    until(lambda: not killed.is_alive, "it is gone")
    fresh = spares.monitor()
    assert fresh is not killed and fresh.is_alive
    fresh.end()
    spares.close()


def test_a_network_that_cannot_be_made_is_the_next_starts_error(folder: Path) -> None:
    def broken() -> int:
        raise UnavailableError("no address is left")

    spares = Spares(folder, broken)
    for _ in range(2):
        with pytest.raises(UnavailableError):
            spares.network()
        spares.refill()
    spares.close()


def test_with_its_makers_process_goes_the_spare(folder: Path) -> None:
    """kill -9 of the control plane leaves nobody who waits for ever."""
    script = (
        "import sys, time, pathlib\n"
        "from havre.drivers.bwrap.spares import Spares\n"
        "spares = Spares(pathlib.Path(sys.argv[1]), lambda: 0)\n"
        "spares.refill()\n"
        "print(spares._monitor.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    maker = subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert maker.stdout is not None
        spare = int(maker.stdout.readline())
        assert is_alive(spare)
        maker.kill()
        until(lambda: not is_alive(spare), "the spare is gone")
    finally:
        maker.kill()
        maker.wait()


def test_after_the_end_nothing_is_made_any_more(folder: Path) -> None:
    spares = Spares(folder, a_network)
    spares.refill()
    ready = spares._monitor
    assert ready is not None
    spares.refill_soon()
    spares.close()
    assert not ready.is_alive
    until(lambda: not is_alive(ready.pid), "it leaves")
    spares.refill()
    spares.refill_soon()
    assert spares._monitor is None and spares._refilling is None


def test_a_spare_is_nobodys_child(folder: Path) -> None:
    """Or every unit that ends would leave remains, for as long as the control plane runs."""
    spares = Spares(folder, a_network)
    ready = spares.monitor()
    parent = int(Path(f"/proc/{ready.pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    assert parent != os.getpid()
    ready.end()
    spares.close()


def test_what_a_start_took_is_made_again_by_itself(folder: Path) -> None:
    spares = Spares(folder, a_network)
    taken = spares.monitor(), spares.network()
    for _ in range(3):
        spares.refill_soon()
    until(lambda: spares._monitor is not None and spares._network is not None, "both are made again")
    ready = spares._monitor
    assert ready is not None and ready.is_alive and ready is not taken[0]
    taken[0].end()
    spares.close()
