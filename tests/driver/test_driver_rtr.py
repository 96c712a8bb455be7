"""RTR: our client against the laboratory's server and StayRTR, and rtrlib's client and BIRD against that server."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from havre.base.errors import UnavailableError
from havre.drivers import rtr
from havre.kernel.clock import SystemClock
from havre.network.lab.servers import rtr as lab
from havre.network.registries import vrps
from tests.driver.registry_rig import scripted, server
from tests.driver.rtr_rig import FIRST, SECOND, THIRD, Rows, full, rows
from tests.ports import free_ports


def write(file: Path, rows: Rows) -> None:
    """As a whole or not at all: the server may be reading."""
    made = [{"prefix": prefix, "maxLength": longest, "asn": f"AS{asn}", "ta": "lab"} for prefix, longest, asn in rows]
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps({"metadata": {}, "roas": made}))
    fresh.rename(file)


@contextmanager
def stayrtr(file: Path) -> Iterator[int]:
    (port,) = free_ports(1)
    argv = ["stayrtr", "-bind", f"127.0.0.1:{port}", "-metrics.addr", "", "-cache", str(file), "-checktime=false"]
    argv += ["-refresh", "1", "-rtr.refresh", "5", "-rtr.retry", "3", "-rtr.expire", "600", "-protocol", "1"]
    started = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        started.terminate()
        started.wait(timeout=30)


@contextmanager
def cache(kind: str, file: Path, *args: str) -> Iterator[int]:
    with stayrtr(file) if kind == "stayrtr" else server("rtr", *args, file) as port:
        yield port


REAL = [
    "lab",
    pytest.param("stayrtr", marks=pytest.mark.skipif(shutil.which("stayrtr") is None, reason="stayrtr is not here")),
]


@asynccontextmanager
async def following(port: int, **options: float) -> AsyncIterator[rtr.Client[vrps.Vrps]]:
    client = rtr.Client(rtr.Cache("127.0.0.1", port, **options), vrps.Vrps, clock=SystemClock())  # type: ignore[arg-type]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.run)
        yield client
        tasks.cancel_scope.cancel()


async def until(client: rtr.Client[vrps.Vrps], holds: Callable[[], bool], *, limit_s: float = 60) -> None:
    with anyio.fail_after(limit_s):
        while not holds():
            await anyio.sleep(0.02)


@pytest.mark.parametrize("kind", REAL)
def test_a_client_has_what_the_cache_has_and_follows_it(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "vrps.json"
    write(file, FIRST)

    async def call(port: int) -> None:
        async with following(port, retry_s=0.1) as client:
            await until(client, lambda: rows(client.table) == sorted(FIRST))
            before = client.state.serial
            write(file, SECOND)
            await until(client, lambda: rows(client.table) == sorted(SECOND))
            write(file, THIRD)
            await until(client, lambda: rows(client.table) == sorted(THIRD))
            assert client.state.serial != before and client.state.connected and client.state.version == 1

    with cache(kind, file) as port:
        anyio.run(call, port)


@pytest.mark.parametrize("kind", REAL)
def test_a_client_lives_through_the_restart_of_its_cache_and_keeps_its_table_meanwhile(
    kind: str, tmp_path: Path
) -> None:
    file = tmp_path / "vrps.json"
    write(file, FIRST)

    async def call(client: rtr.Client[vrps.Vrps], holds: Callable[[], bool]) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.run)
            await until(client, holds)
            tasks.cancel_scope.cancel()

    same = ("--session", "7")  # as StayRTR 0.5 within a second: the second life has the session and serial of the first
    with cache(kind, file, *same) as port:
        client = rtr.Client(rtr.Cache("127.0.0.1", port, retry_s=0.1), vrps.Vrps, clock=SystemClock())
        anyio.run(call, client, lambda: rows(client.table) == sorted(FIRST))
    anyio.run(call, client, lambda: bool(client.state.error))
    assert rows(client.table) == sorted(FIRST)
    write(file, SECOND)
    with cache(kind, file, *same) as port:
        client.cache = rtr.Cache("127.0.0.1", port, retry_s=0.1)
        anyio.run(call, client, lambda: rows(client.table) == sorted(SECOND))


@pytest.mark.parametrize("kind", REAL)
def test_the_whole_table_is_fetched_once(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "vrps.json"
    write(file, SECOND)
    with cache(kind, file) as port:
        client = rtr.Client(rtr.Cache("127.0.0.1", port), vrps.Vrps, clock=SystemClock())
        assert rows(anyio.run(client.once)) == sorted(SECOND)


def test_a_cache_that_only_speaks_version_0_is_asked_in_that(tmp_path: Path) -> None:
    file = tmp_path / "vrps.json"
    write(file, FIRST)

    async def call(port: int) -> None:
        async with following(port, retry_s=0.1) as client:
            await until(client, lambda: rows(client.table) == sorted(FIRST))
            write(file, THIRD)
            await until(client, lambda: rows(client.table) == sorted(THIRD))
            assert client.state.version == 0

    with server("rtr", "--version", "0", file) as port:
        anyio.run(call, port)


class FastClock:
    """The machine's clock, whose waits are over at once and whose time runs as fast as a test says."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> int:
        return int(self.monotonic() * 1000)

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s

    async def sleep(self, seconds: float) -> None:
        self.ahead_s += seconds
        await anyio.sleep(0.001)


def test_what_is_older_than_the_expire_time_is_forgotten() -> None:
    async def call() -> None:
        async with scripted(full(FIRST)) as once:
            client = rtr.Client(rtr.Cache("127.0.0.1", once.port), vrps.Vrps, clock=FastClock())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.run)
                await until(client, lambda: rows(client.table) == sorted(FIRST))
                once.says = [b""]
                await until(client, lambda: client.table is None)
                assert "forgotten" in client.state.error or "ended" in client.state.error
                tasks.cancel_scope.cancel()

    anyio.run(call)


def test_a_cache_that_hangs_up_on_version_1_is_asked_in_version_0() -> None:
    async def call() -> None:
        async with scripted(b"") as rude:
            client = rtr.Client(rtr.Cache("127.0.0.1", rude.port, retry_s=0.01), vrps.Vrps, clock=SystemClock())
            with pytest.raises(UnavailableError, match="ended the connection"):
                await client.once()
            rude.says = [full(FIRST, version=0)]
            assert rows(await client.once()) == sorted(FIRST)

    anyio.run(call)


@given(
    st.lists(st.frozensets(st.sampled_from(SECOND)), min_size=2, max_size=8),
    st.integers(0, 6),
)
def test_the_difference_since_any_serial_turns_the_old_table_into_the_new(states: list[Any], since: int) -> None:
    holding = lab.Cache(Path("none"), 7)
    for number, state in enumerate(states, start=1):
        found = frozenset(
            vrps.records(vrps.parse(json.dumps([{"prefix": p, "maxLength": m, "asn": a} for p, m, a in state])))
        )
        holding.changes.append((number, found - holding.records, holding.records - found))
        holding.serial, holding.records = number, found
    at = min(since, len(states) - 1)
    told = holding.since(at + 1)
    assert told is not None
    before = frozenset(
        vrps.records(vrps.parse(json.dumps([{"prefix": p, "maxLength": m, "asn": a} for p, m, a in states[at]])))
    )
    assert not told[0] & before and told[1] <= before
    assert (before | told[0]) - told[1] == holding.records


@pytest.mark.skipif(shutil.which("rtrclient") is None, reason="rtrclient is not installed")
def test_rtrlib_reads_our_server(tmp_path: Path) -> None:
    file = tmp_path / "vrps.json"
    write(file, FIRST)
    out = tmp_path / "out.csv"
    with server("rtr", file) as port:
        argv = ["rtrclient", "-e", "-t", "csv", "-o", str(out), "tcp", "127.0.0.1", str(port)]
        subprocess.run(argv, check=True, capture_output=True, timeout=60)
    found = sorted(line for line in out.read_text().splitlines() if "64510" in line)
    assert len(found) == 2 and "198.51.100.0" in found[0] and "2001:db8:100::" in found[1]


@pytest.mark.skipif(shutil.which("bird") is None, reason="bird is not installed")
def test_bird_reads_our_server_and_follows_it(tmp_path: Path) -> None:
    file = tmp_path / "vrps.json"
    write(file, FIRST)
    short = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())

    def known(asn: int) -> bool:
        asked = ["birdc", "-s", str(short / "b"), f"eval roa_check(r4, 198.51.100.0/24, {asn}) = ROA_VALID"]
        return "TRUE" in subprocess.run(asked, capture_output=True, text=True, timeout=30).stdout

    with server("rtr", file) as port:
        (short / "bird.conf").write_text(
            "router id 10.0.0.1;\nroa4 table r4; roa6 table r6;\nprotocol device { }\n"
            f"protocol rpki rtr1 {{ roa4 {{ table r4; }}; roa6 {{ table r6; }}; remote 127.0.0.1 port {port}; retry 1; }}\n"
        )
        argv = ["bird", "-f", "-c", str(short / "bird.conf"), "-s", str(short / "b"), "-P", str(short / "p")]
        bird = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for asn in (64510, 64511):
                write(file, [("198.51.100.0/24", 24, asn)])
                deadline = time.monotonic() + 60
                while not known(asn):
                    assert time.monotonic() < deadline, f"BIRD does not learn of AS{asn}"
                    time.sleep(0.1)
        finally:
            bird.terminate()
            bird.wait(timeout=30)
            shutil.rmtree(short)
