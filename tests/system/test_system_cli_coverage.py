"""Every sub-command of the command line against a real installation; what passes and what is answered is a table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.system.browser import Mailbox
from tests.system.cli_bench import Bench, Sink
from tests.system.cli_rows import ALL, ROWS, Row, is_quick
from tests.system.rig import installation

pytestmark = pytest.mark.timeout(1200)  # the first test waits for all lanes
QUICK = tuple(row for row in ROWS if is_quick(row))


@contextmanager
def tried(rows: tuple[Row, ...], *, with_more: bool) -> Iterator[Bench]:
    sink, mail = Sink(), Mailbox()
    with installation(mail=mail.settings) as havre:
        havre.up()
        made = Bench(havre, sink, mail, rows, with_more)
        made.run()
        yield made
    sink.close()
    mail.close()


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with tried(QUICK, with_more=False) as made:
        yield made


def check(bench: Bench, row: Row) -> None:
    found = bench.outcomes[row.key]
    code = 1 if row.usage or row.refuses else row.code
    assert found[0].code == code and re.search(row.refuses or row.shows, found[0].said), found[0].said
    for line, each in zip((row.line, *row.more), found, strict=False):
        assert each.code == code, f"{line}: {each.said}"
        if line.endswith("-F json") and not row.refuses:
            json.JSONDecoder().raw_decode(each.said)  # what follows was said on stderr
            assert code or each.said.rstrip()[-1] in "]}", f"{line}: {each.said}"


@pytest.mark.parametrize("row", QUICK, ids=lambda row: row.command)
def test_a_command_does_what_the_page_says(bench: Bench, row: Row) -> None:
    check(bench, row)


def test_nothing_broke_inside(bench: Bench) -> None:
    log = (bench.havre.data / "havre.log").read_text()
    assert [line for line in log.splitlines() if "api.request.broke" in line] == []


@pytest.mark.soak
def test_all_commands_do_what_the_page_says() -> None:
    wrong = []
    with tried(ALL, with_more=True) as made:
        for row in ALL:
            try:
                check(made, row)
            except (AssertionError, ValueError) as error:
                wrong.append(f"{row.key}: {error}")
    assert wrong == []
