from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havre.base.errors import InvalidError
from havre.observe import decide
from havre.observe.model import event_id, seq_of


def read_all(content: bytes, *, chunk: int, max_lines: int) -> list[str]:
    lines: list[str] = []
    offset = 0
    while offset < len(content):
        part = content[offset : offset + chunk]
        cut = decide.cut(part, final=offset + len(part) == len(content), max_lines=max_lines)
        if not cut.consumed:
            chunk *= 2
            continue
        lines += cut.lines
        offset += cut.consumed
    return lines


@given(
    st.lists(st.text(st.characters(blacklist_characters="\n\r\0", blacklist_categories=("Cs",)), max_size=50)),
    st.integers(1, 300),
    st.integers(1, 9),
)
def test_every_line_is_cut_once_whatever_the_chunks(lines: list[str], chunk: int, max_lines: int) -> None:
    content = "".join(line + "\n" for line in lines).encode()
    assert read_all(content, chunk=chunk, max_lines=max_lines) == lines


@given(st.binary(max_size=400), st.integers(1, 50))
def test_any_bytes_become_lines(content: bytes, chunk: int) -> None:
    lines = read_all(content, chunk=chunk, max_lines=3)
    assert len(lines) == content.count(b"\n") + (bool(content) and not content.endswith(b"\n"))
    assert not any("\n" in line or "\0" in line for line in lines)


@pytest.mark.parametrize("letter", ["a", "é", "日", "😀"])
def test_a_long_line_goes_on_as_the_next_and_breaks_no_character(letter: str) -> None:
    text = letter * 100_000
    lines = read_all(text.encode() + b"\nnext\n", chunk=1 << 20, max_lines=100)
    assert "".join(lines[:-1]) == text and lines[-1] == "next"
    assert max(len(line.encode()) for line in lines) <= decide.LINE_BYTES


def test_an_unfinished_line_waits_unless_it_is_the_last() -> None:
    assert decide.cut(b"one\ntw", final=False, max_lines=9) == decide.Cut(("one",), 4)
    assert decide.cut(b"one\ntw", final=True, max_lines=9) == decide.Cut(("one", "tw"), 6)


def test_colours_stay_and_what_is_no_text_is_replaced() -> None:
    assert decide.cut(b"\x1b[31mred\xff\x1b[0m\r\n", final=False, max_lines=9).lines == ("\x1b[31mred\ufffd\x1b[0m",)


@given(st.lists(st.integers(1, 50), min_size=1), st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 9000))
def test_moments_never_go_back(parts: list[int], from_at: int, long: int, previous_at: int) -> None:
    size = sum(parts)
    gap = decide.Gap(0, from_at, size, from_at + long)
    at, start = previous_at, 0
    for part in [*parts, 7]:
        found = decide.moments(
            3, start=start, end=start + part, gap=gap, previous_at=at, now=max(previous_at, from_at + long)
        )
        assert found == sorted(found) and found[0] >= at
        assert all(each <= max(previous_at, from_at + long) for each in found)
        at, start = found[-1], start + part


def test_a_gap_is_spread_over_its_lines() -> None:
    gap = decide.Gap(100, 1000, 200, 2000)
    assert decide.moments(4, start=100, end=200, gap=gap, previous_at=0, now=9000) == [1250, 1500, 1750, 2000]
    assert decide.moments(2, start=200, end=300, gap=gap, previous_at=2000, now=9000) == [9000, 9000]


def test_an_allowance_refills_to_its_brim_and_no_further() -> None:
    allowance = decide.Allowance(lines_per_s=10, bytes_per_s=100, burst_s=2)
    allowance.refill(5.0)
    assert (allowance.lines, allowance.octets) == (20, 200)
    allowance.take(lines=20, octets=250)
    allowance.refill(6.0)
    assert (allowance.lines, allowance.octets) == (10, 50)
    allowance.refill(600.0)
    assert (allowance.lines, allowance.octets) == (20, 200)


def test_who_is_too_far_behind_keeps_the_newest_half() -> None:
    assert decide.drop_target(offset=0, size=100, backlog_bytes=100) is None
    assert decide.drop_target(offset=0, size=101, backlog_bytes=100) == 51


def test_the_last_lines_begin_after_what_was_freed() -> None:
    assert decide.last_lines(b"\0\0\0one\ntwo\nthree\n", lines=2) == ["two", "three"]
    assert decide.last_lines(b"\0\0one\ntwo", lines=9) == ["one", "two"]
    assert decide.last_lines(b"", lines=9) == []


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_event_ids_are_read_back_and_keep_the_order(left: int, right: int) -> None:
    assert seq_of(event_id(left)) == left
    assert (event_id(left) < event_id(right)) == (left < right)


@pytest.mark.parametrize(
    "id", ["", "1", "zzzzzzzzzzzzzzzz", "-000000000000001", "0x00000000000001", "1" * 17, "１" * 16]
)
def test_what_is_no_event_id_is_invalid(id: str) -> None:
    with pytest.raises(InvalidError):
        seq_of(id)
