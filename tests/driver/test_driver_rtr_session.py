"""One session of RTR as bytes: what a client makes of a cache's answers, whole, broken off, wrong or hostile."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from havre.base.errors import HavreError, InvalidError
from havre.drivers import rtr
from havre.drivers.rtr import pdus
from havre.network.registries import vrps
from tests.driver.rtr_rig import FIRST, SECOND, THIRD, Rows, full, rows, units


def session(version: int = 1) -> rtr.Session[vrps.Vrps]:
    made = rtr.Session(vrps.Vrps, version=version)
    made.begin()
    return made


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
