"""The page about the command line says what the suite's table says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.system.cli_rows import ROWS, page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli-coverage.md"


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text() == page(), "write it anew: python -m tests.system.cli_rows > docs/reference/cli-coverage.md"


def test_the_table_has_every_sub_command_once() -> None:
    assert len({row.command for row in ROWS}) == len(ROWS) == 189
    assert Counter(row.tier for row in ROWS) == {"T1": 48, "T2": 68, "T3": 73}
    assert all(row.line.startswith(row.command) for row in ROWS)
