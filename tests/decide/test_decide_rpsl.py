"""RPSL as text: read, written, and refused with the line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from havre.base.errors import InvalidError
from havre.drivers.irr import rpsl

TEXT = """% a server's remark
# a comment before anything

as-set:         AS-OUR      # ours
descr:          first line
+
                third line
\tfourth line
+fifth line
members:        AS64510,    # a customer
                AS64511,AS-SUB
# in the middle
                AS64512
source:         RIPE

route: 198.51.100.0/24
Origin:AS64510
source:         RIPE
"""


def test_objects_are_read_with_their_continuations_comments_and_lists() -> None:
    first, second = rpsl.objects(TEXT)
    assert (first.kind, first.key) == ("as-set", "AS-OUR")
    assert first.first("descr") == "first line third line fourth line fifth line"
    assert first.words("members") == ("AS64510", "AS64511", "AS-SUB", "AS64512")
    assert (second.kind, second.key, second.first("origin")) == ("route", "198.51.100.0/24", "AS64510")
    assert second.first("holes") == "" and second.every("source", "origin") == ("AS64510", "RIPE")


def test_what_is_written_is_read_again_with_its_comments() -> None:
    first, second = rpsl.objects(TEXT)
    both = rpsl.written(first) + "\n" + rpsl.written(second)
    assert list(rpsl.objects(both)) == [first, second]
    assert "# a customer" in both and "# in the middle" in both and "\n+\n" in both


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,15}", fullmatch=True)
VALUES = st.lists(
    st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=("Cs",)), max_size=30), min_size=1, max_size=4
)


@given(st.lists(st.tuples(NAMES, VALUES.map("\n".join)), min_size=1, max_size=6))
def test_any_object_of_ours_survives_being_written_and_read(pairs: list[tuple[str, str]]) -> None:
    made = rpsl.of(pairs)
    assert rpsl.one(rpsl.written(made)) == made


BAD = [
    (" goes on\n", "line 1: goes on with an attribute, and none was begun"),
    ("route: 10.0.0.0/8\n\n+x\n", "line 3: goes on"),
    ("route 10.0.0.0/8\n", "line 1: 'route 10.0.0.0/8' is not `attribute: value`"),
    ("1route: x\n", "is not `attribute: value`"),
    (": x\n", "is not `attribute: value`"),
    ("route: 10.0.0.0/8\0\n", "zero byte"),
    ("<html>\n", "is not `attribute: value`"),
    ("a" * 100 + ": x\n", "is not `attribute: value`"),
]


@pytest.mark.parametrize(("text", "match"), BAD, ids=[row[1] for row in BAD])
def test_what_is_not_rpsl_is_refused_with_its_line(text: str, match: str) -> None:
    with pytest.raises(InvalidError, match=match):
        list(rpsl.objects(text))


def test_objects_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpsl, "MOST_OBJECT_BYTES", 1000)
    with pytest.raises(InvalidError, match="larger than any that we read"):
        list(rpsl.objects("as-set: AS-BIG\n" + "members: AS1\n" * 200))
    monkeypatch.setattr(rpsl, "MOST_BYTES", 1000)
    with pytest.raises(InvalidError, match="larger than"):
        list(rpsl.objects("%" * 1001))


def test_one_object_is_one() -> None:
    with pytest.raises(InvalidError, match="has 2 objects"):
        rpsl.one(TEXT)
    with pytest.raises(InvalidError, match="cannot be the name"):
        rpsl.of([("no name", "x")])


@settings(max_examples=300)
@given(st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from(":\n #+,%\t\r"), max_size=200))
def test_no_text_crashes_the_reader_and_what_it_reads_it_can_write(text: str) -> None:
    try:
        found = list(rpsl.objects(text))
    except InvalidError as error:
        assert "line" in error.message
        return
    assert [rpsl.one(rpsl.written(each)) for each in found] == found


def test_a_hundred_thousand_objects_take_seconds() -> None:
    text = "route: 10.0.0.0/8\norigin: AS1\nsource: X\n\n" * 100_000
    assert sum(1 for _ in rpsl.objects(text)) == 100_000
