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
from hypothesis import given, settings
from hypothesis import strategies as st

from havre.base.errors import HavreError, InvalidError, UnavailableError
from havre.drivers import rtr
from havre.drivers.rtr import pdus
from havre.kernel.clock import SystemClock
from havre.network.lab.servers import rtr as lab
from havre.network.registries import vrps
from tests.driver.registry_rig import scripted, server

FIRST = [("198.51.100.0/24", 24, 64510), ("2001:db8:100::/48", 48, 64510)]
SECOND = [*FIRST, ("203.0.113.0/24", 24, 64511), ("2001:db8:200::/40", 48, 64511)]
THIRD = [SECOND[0], SECOND[2]]
Rows = list[tuple[str, int, int]]


def write(file: Path, rows: Rows) -> None:
    """As a whole or not at all: the server may be reading."""
    made = [{"prefix": prefix, "maxLength": longest, "asn": f"AS{asn}", "ta": "lab"} for prefix, longest, asn in rows]
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps({"metadata": {}, "roas": made}))
    fresh.rename(file)


def rows(table: vrps.Vrps | None) -> Rows | None:
    return None if table is None else sorted((str(each.prefix), each.max_length, each.asn) for each in table)


@contextmanager
def stayrtr(file: Path) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
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


def session(version: int = 1) -> rtr.Session[vrps.Vrps]:
    made = rtr.Session(vrps.Vrps, version=version)
    made.begin()
    return made


def units(found: Rows, *, announce: bool = True, version: int = 1) -> bytes:
    told = vrps.records(vrps.parse(json.dumps([{"prefix": p, "maxLength": m, "asn": a} for p, m, a in found])))
    return b"".join(pdus.prefix(version, *each, announce=announce) for each in told)


def full(found: Rows, *, serial: int = 1, number: int = 7, version: int = 1) -> bytes:
    begin = pdus.plain(version, pdus.CACHE_RESPONSE, number)
    return begin + units(found, version=version) + pdus.end_of_data(version, number, serial, pdus.Timers())


def part(plus: Rows, minus: Rows, *, serial: int, number: int = 7) -> bytes:
    body = units(plus) + units(minus, announce=False)
    return pdus.plain(1, pdus.CACHE_RESPONSE, number) + body + pdus.end_of_data(1, number, serial, pdus.Timers())


def test_nothing_counts_before_the_end_of_data() -> None:
    taking = session()
    answer = full(FIRST)
    taking.take(answer[:-1])
    assert taking.table is None
    taking.take(answer[-1:])
    assert rows(taking.table) == sorted(FIRST)
    assert taking.query() == pdus.query(1, session=7, serial=1)
    change = part(SECOND[2:], [], serial=2)
    taking.take(change[:-1])
    assert rows(taking.table) == sorted(FIRST)
    taking.take(change[-1:])
    assert rows(taking.table) == sorted(SECOND)


@given(cuts=st.lists(st.integers(1, 400), max_size=12))
def test_it_does_not_matter_how_the_bytes_are_cut(cuts: list[int]) -> None:
    taking, answer = session(), full(SECOND)
    at = 0
    for cut in sorted(cuts):
        taking.take(answer[at:cut])
        at = max(at, cut)
    taking.take(answer[at:])
    assert rows(taking.table) == sorted(SECOND)


def test_another_session_of_the_cache_is_asked_for_everything() -> None:
    taking = session()
    taking.take(full(FIRST))
    taking.query()
    assert taking.take(pdus.plain(1, pdus.CACHE_RESPONSE, 8)) == [pdus.query(1)]
    taking.take(full(THIRD, number=8, serial=1))
    assert rows(taking.table) == sorted(THIRD)


def test_a_full_answer_renews_the_table_and_one_that_breaks_off_changes_nothing() -> None:
    taking = session()
    taking.take(full(FIRST))
    held = taking.table
    taking.begin()
    taking.take(full(SECOND)[:-24])  # all of it but its end
    assert rows(taking.table) == sorted(FIRST)
    taking.begin()  # the connection was lost, and is there again
    taking.take(full(THIRD, serial=3)[:-1])
    assert rows(taking.table) == sorted(FIRST)
    taking.take(full(THIRD, serial=3)[-1:])
    assert rows(taking.table) == sorted(THIRD) and taking.table is held
    taking.begin()
    with pytest.raises(InvalidError, match="same VRP twice"):
        taking.take(full([*THIRD, THIRD[0]]))
    assert rows(taking.table) == sorted(THIRD)
    taking.begin()
    taking.take(full(SECOND, serial=4))
    assert rows(taking.table) == sorted(SECOND)


VRPS = st.frozensets(st.tuples(st.just(4), st.sampled_from([2, 3, 5, 256, 511]), st.integers(256, 260)), max_size=8)


@given(st.lists(st.tuples(VRPS, st.booleans(), VRPS), max_size=6))
def test_a_table_that_is_renewed_equals_one_that_is_made_anew(answers: list[tuple[Any, bool, Any]]) -> None:
    """Answers that end, answers that do not, and differences between them, in any order."""
    table, wanted = vrps.Vrps(), set[tuple[int, int, int]]()
    for answer, ends, more in answers:
        renewal = table.renewal()
        for each in answer:
            assert renewal.announce(*each) and not renewal.announce(*each)
        assert len(renewal) == len(answer) and set(table.records()) == wanted
        if ends:
            renewal.commit()
            wanted = set(answer)
            for each in more:
                (table.withdraw if each in wanted else table.announce)(*each)
                wanted ^= {each}
        assert set(table.records()) == wanted and len(table) == len(wanted)
        assert all(table.has(*each) for each in wanted)
        for key in (2, 5, 256, 1025):
            covering = sorted(value for _, value in table.covering(4, key))
            fresh = vrps.Vrps()
            for each in wanted:
                fresh.announce(*each)
            assert covering == sorted(value for _, value in fresh.covering(4, key))


def test_a_cache_that_forgot_the_difference_is_asked_for_everything() -> None:
    taking = session()
    taking.take(full(FIRST))
    taking.query()
    assert taking.take(pdus.plain(1, pdus.CACHE_RESET)) == [pdus.query(1)]


WRONG = [
    (full(FIRST) + part(FIRST[:1], [], serial=2), pdus.DUPLICATE, "announced a VRP that we have"),
    (full(FIRST) + part([], SECOND[2:3], serial=2), pdus.UNKNOWN_WITHDRAWN, "withdrew a VRP that we do not have"),
    (full([*FIRST, FIRST[0]]), pdus.DUPLICATE, "same VRP twice"),
    (pdus.HEADER.pack(1, 5, 0, 8), pdus.BAD_TYPE, "type 5"),
    (pdus.HEADER.pack(1, pdus.CACHE_RESPONSE, 7, 9), pdus.CORRUPT, "of 9 bytes"),
    (pdus.HEADER.pack(1, pdus.ERROR_REPORT, 7, 2**31), pdus.CORRUPT, "of 2147483648 bytes"),
    (pdus.plain(1, pdus.CACHE_RESPONSE, 7) + units(FIRST, version=0), pdus.UNEXPECTED_VERSION, "version 0"),
    (
        pdus.plain(1, pdus.CACHE_RESPONSE, 7) + pdus.V4.pack(1, 4, 0, 20, 1, 24, 16, 0, 0, 1),
        pdus.CORRUPT,
        "contradicts itself",
    ),
    (
        pdus.plain(1, pdus.CACHE_RESPONSE, 7) + pdus.V4.pack(1, 4, 0, 20, 1, 8, 16, 0, 1, 1),
        pdus.CORRUPT,
        "contradicts itself",
    ),
    (pdus.end_of_data(1, 7, 1, pdus.Timers()), pdus.INVALID, "out of turn"),
    (pdus.query(1), pdus.INVALID, "out of turn"),
    (pdus.plain(2, pdus.CACHE_RESPONSE, 7), pdus.UNEXPECTED_VERSION, "version 2"),
    (pdus.plain(1, pdus.CACHE_RESPONSE, 7) + pdus.end_of_data(1, 8, 1, pdus.Timers()), pdus.CORRUPT, "another session"),
]


@pytest.mark.parametrize(("said", "code", "match"), WRONG, ids=[row[2] for row in WRONG])
def test_a_cache_that_breaks_the_protocol_is_told_so_and_changes_nothing(said: bytes, code: int, match: str) -> None:
    taking = session()
    complete = full(FIRST) if said.startswith(full(FIRST)) else b""
    taking.take(complete)
    before = rows(taking.table)
    with pytest.raises(InvalidError, match=match) as caught:
        taking.query() if complete else None
        taking.take(said[len(complete) :])
    report = caught.value.facts["report"]
    assert isinstance(report, bytes) and report[1] == pdus.ERROR_REPORT
    assert pdus.error_text(report)[0] == code and rows(taking.table) == before


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_no_bytes_crash_the_session(said: bytes) -> None:
    taking = session()
    try:
        taking.take(pdus.plain(1, pdus.CACHE_RESPONSE, 7) + said)
    except HavreError as error:
        assert error.message


@given(st.binary(min_size=20, max_size=20), st.integers(0, 10))
def test_no_unit_of_any_type_crashes_the_session(body: bytes, kind: int) -> None:
    taking = session()
    least, most = pdus.LENGTHS.get(kind, (8, 8))
    for size in {least, most}:
        try:
            taking.take(full(FIRST) + pdus.HEADER.pack(1, kind, 7, size) + (body * (size // 20 + 1))[: size - 8])
        except HavreError as error:
            assert error.message


def test_a_cache_without_data_is_asked_again() -> None:
    taking = session()
    with pytest.raises(rtr.NoDataError):
        taking.take(pdus.error(1, pdus.NO_DATA, about=pdus.query(1)))


def test_the_times_of_a_cache_are_kept_within_bounds() -> None:
    assert pdus.Timers.bounded(0, 0, 0) == pdus.Timers(1, 1, 600)
    assert pdus.Timers.bounded(2**32 - 1, 2**32 - 1, 5) == pdus.Timers(86_400, 7200, 86_401)


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
