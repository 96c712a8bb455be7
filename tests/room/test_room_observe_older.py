"""A signals store of an earlier version is read on, and counted, beside what comes now."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from havre.observe import AccessQuery, entries
from havre.observe.embedded import EmbeddedStore
from havre.observe.model import AccessLine

OLDER = """
create table app (key integer primary key, app_id text not null unique, log_bytes integer not null, access_bytes integer not null);
create table access_line (seq integer primary key autoincrement, app integer not null, at integer not null,
    size integer not null, request json not null);
create index access_line_app on access_line (app, seq, at);
"""
REQUEST = {
    "host": "shop.test", "method": "GET", "path": "/old", "scheme": "https", "protocol": "HTTP/2.0", "status": 404,
    "duration_ms": 1.5, "bytes_in": 1, "bytes_out": 2, "source_ip": "192.0.2.1", "source_port": 3, "request_id": "r", "route": "/shop.test.sock",
}  # fmt: skip


def test_requests_of_before_the_column_of_their_status_are_read_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "logs.db"
    with sqlite3.connect(path) as older:
        older.executescript(OLDER)
        older.execute("insert into app values (1, 'app_1', 0, 300)")
        older.execute("insert into access_line values (1, 1, 1000, 300, ?)", [json.dumps(REQUEST)])
    older.close()
    for number in range(2):  # the second finds what the first has made
        store = EmbeddedStore.open(path, per_app_bytes=1_000_000)
        line = AccessLine(app_id="app_1", at=1000, **REQUEST)  # type: ignore[arg-type]
        store.keep_access([("app_1", entries.kept(line._replace(path="/new", status=200)))], cursors=[])
        found = store.accesses(AccessQuery("app_1"), after=0, page=10)
        assert [each.line for each in found.records][:2] == [line, line._replace(path="/new", status=200)]
        assert store.access_counts("app_1", since=0, span_ms=1000) == {1000: {404: 1, 200: number + 1}}
        store.close()
