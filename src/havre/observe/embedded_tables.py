"""The tables of the embedded signals store, and the connections to its file.

Ids are kept once, in `app` and `origin`; a line refers to them by small numbers. The index on lines holds all that
a range asks for, so that only the lines of an answer are read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

METADATA = sa.MetaData()
APP = sa.Table(
    "app",
    METADATA,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("app_id", sa.Text, nullable=False, unique=True),
    sa.Column("log_bytes", sa.Integer, nullable=False, default=0),
    sa.Column("access_bytes", sa.Integer, nullable=False, default=0),
)
ORIGIN = sa.Table(
    "origin",
    METADATA,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("source_id", sa.Text, nullable=False, unique=True),
    sa.Column("app", sa.Integer, nullable=False, index=True),
    sa.Column("deployment_id", sa.Text),
    sa.Column("instance_id", sa.Text),
    sa.Column("commit_id", sa.Text),
    sa.Column("service", sa.Text, nullable=False),
    sa.Column("offset", sa.Integer, nullable=False),
    sa.Column("at", sa.Integer, nullable=False),
    sa.Column("dropped", sa.Integer, nullable=False),
    sa.Column("drained", sa.Boolean, nullable=False),
    sa.Column("gone", sa.Boolean, nullable=False),
)
LOG_LINE = sa.Table(
    "log_line",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("app", sa.Integer, nullable=False),
    sa.Column("origin", sa.Integer, nullable=False),
    sa.Column("at", sa.Integer, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Index("log_line_app", "app", "seq", "at", "origin"),
    sqlite_autoincrement=True,
)
ACCESS_LINE = sa.Table(
    "access_line",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("app", sa.Integer, nullable=False),
    sa.Column("at", sa.Integer, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("request", sa.Text, nullable=False),  # JSON
    sa.Column("status", sa.Integer),  # none: a file that is older than the column, where `request` has it
    sa.Index("access_line_app", "app", "seq", "at"),
    sqlite_autoincrement=True,
)
ACCESS_FILE = sa.Table(
    "access_file",
    METADATA,
    sa.Column("inode", sa.Integer, primary_key=True),
    sa.Column("head", sa.Text, nullable=False),
    sa.Column("offset", sa.Integer, nullable=False),
)


STATUS = sa.func.coalesce(ACCESS_LINE.c.status, sa.func.json_extract(ACCESS_LINE.c.request, "$.status"))


def create(conn: sa.Connection) -> None:
    """The tables, and the columns that came after them."""
    METADATA.create_all(conn)
    if "status" not in {each["name"] for each in sa.inspect(conn).get_columns(ACCESS_LINE.name)}:
        conn.exec_driver_sql(f"alter table {ACCESS_LINE.name} add column status integer")


def open_engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(
        f"sqlite:///{path}", connect_args={"check_same_thread": False, "timeout": 10}, pool_size=5, max_overflow=5
    )

    def on_connect(raw: Any, _record: object) -> None:
        raw.isolation_level = None  # the driver's own BEGIN comes too late for a snapshot
        cursor = raw.cursor()
        settings = ["synchronous=normal", "busy_timeout=10000", "journal_size_limit=16777216", "cache_size=-4096"]
        if cursor.execute("pragma journal_mode").fetchone() != ("wal",):  # to say it again would wait for a writer
            settings[:0] = ["auto_vacuum=incremental", "journal_mode=wal"]
        for pragma in settings:
            cursor.execute(f"pragma {pragma}").fetchall()
        cursor.close()

    def on_begin(conn: sa.Connection) -> None:
        conn.exec_driver_sql("BEGIN" if conn.get_execution_options().get("reads") else "BEGIN IMMEDIATE")

    sa.event.listen(engine, "connect", on_connect)
    sa.event.listen(engine, "begin", on_begin)
    return engine
