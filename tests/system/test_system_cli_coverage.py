"""Every sub-command of the command line against a real installation; what passes and what is answered is a table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.system.browser import Mailbox
from tests.system.cli_bench import Bench, Sink
from tests.system.cli_rows import ROWS, Row
from tests.system.rig import installation

pytestmark = pytest.mark.timeout(900)  # the first test waits for all lanes


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    sink, mail = Sink(), Mailbox()
    with installation(mail=mail.settings) as havre:
        havre.up()
        made = Bench(havre, sink, mail)
        made.run()
        yield made
    sink.close()
    mail.close()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.command)
def test_a_command_does_what_the_page_says(bench: Bench, row: Row) -> None:
    first, *more = bench.outcomes[row.command]
    if row.refuses:
        assert first.code == 1 and re.search(row.refuses, first.said), first.said
        return
    assert first.code == (1 if row.usage else row.code), first.said
    assert re.search(row.shows, first.said), first.said
    for line, each in zip((row.line, *row.more), (first, *more), strict=True):
        assert each.code == (1 if row.usage else row.code), f"{line}: {each.said}"
        if line.endswith("-F json"):
            json.loads(each.said)


def test_nothing_broke_inside(bench: Bench) -> None:
    log = (bench.havre.data / "havre.log").read_text()
    assert [line for line in log.splitlines() if "api.request.broke" in line] == []
