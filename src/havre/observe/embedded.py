"""The embedded signals store: one SQLite file, beside the control state and without it.

synchronous=NORMAL: a killed process loses nothing; a loss of power may take back the newest transactions, lines
and cursors together, and they are read again from the raw files. `settle` draws the line behind which raw
bytes may be freed. Each app has a quota in bytes of lines and a quarter of it in bytes of requests.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert

from havre.base.errors import UnavailableError
from havre.observe import entries
from havre.observe.embedded_tables import (
    ACCESS_FILE,
    ACCESS_LINE,
    APP,
    LOG_LINE,
    ORIGIN,
    STATUS,
    create,
    open_engine,
)
from havre.observe.model import (
    AccessQuery,
    AccessRecord,
    Cursor,
    FileCursor,
    LogQuery,
    LogRecord,
    OfApp,
    StoreFigures,
    Taken,
)
from havre.observe.pace import HURRIED, Pace
from havre.observe.signals import Page

ROW_BYTES = 80  # what a row weighs beside its text, index included
ACCESS_SHARE = 4
ROWS = 150  # of requests, in one statement: half of what one for each takes
BATCH_ROWS = 5000  # deleted in one transaction
COMPACT_PAGES = 2000
FREE_PAGES_KEPT = 500


class EmbeddedStore:
    """Opens with `EmbeddedStore.open(path, per_app_bytes=…)`. See `SignalStore` for the contract."""

    def __init__(self, engine: sa.Engine, *, per_app_bytes: int) -> None:
        self._engine = engine
        self._quota = {LOG_LINE.name: per_app_bytes, ACCESS_LINE.name: per_app_bytes // ACCESS_SHARE}

    @classmethod
    def open(cls, path: Path, *, per_app_bytes: int) -> EmbeddedStore:
        engine = open_engine(path)
        with _classed("open"):
            with engine.begin() as conn:
                create(conn)
        return cls(engine, per_app_bytes=per_app_bytes)

    def close(self) -> None:
        self._engine.dispose()

    # lines

    def cursors(self) -> Mapping[str, Cursor]:
        with self._reading() as conn:
            rows = conn.execute(sa.select(ORIGIN).where(~ORIGIN.c.gone)).all()
        return {each.source_id: Cursor(each.offset, each.at, each.dropped, each.drained) for each in rows}

    def keep(self, batch: Sequence[Taken]) -> None:
        with self._writing() as conn:
            grown: dict[int, int] = {}
            rows: list[dict[str, Any]] = []
            for taken in batch:
                app = _app_key(conn, taken.source.app_id)
                origin = _put_origin(conn, taken, app=app)
                for line in taken.lines:
                    size = len(line.message.encode("utf-8", "replace")) + ROW_BYTES
                    grown[app] = grown.get(app, 0) + size
                    rows.append(
                        {
                            "app": app,
                            "origin": origin,
                            "at": line.at,
                            "size": size,
                            "severity": line.severity,
                            "message": line.message,
                        }
                    )
            if rows:
                conn.execute(sa.insert(LOG_LINE), rows)
            self._grow(conn, LOG_LINE, grown)

    def forget_sources(self, ids: Sequence[str]) -> None:
        with self._writing() as conn:
            for start in range(0, len(ids), 500):
                some = ORIGIN.c.source_id.in_(ids[start : start + 500])
                conn.execute(sa.update(ORIGIN).where(some).values(gone=True))

    def logs(self, query: LogQuery, *, after: int, page: int) -> Page[LogRecord]:
        where = [*_asked(LOG_LINE, query, after), ORIGIN.c.key == LOG_LINE.c.origin]
        if query.deployment_id is not None:
            where.append(ORIGIN.c.deployment_id == query.deployment_id)
        if query.instance_ids:
            where.append(ORIGIN.c.instance_id.in_(query.instance_ids))
        if query.services:
            where.append(ORIGIN.c.service.in_(query.services))
        if query.filter:
            where.append(LOG_LINE.c.message.contains(query.filter, autoescape=True))
        columns = (LOG_LINE, ORIGIN.c.source_id, ORIGIN.c.deployment_id, ORIGIN.c.instance_id)
        ask = sa.select(*columns, ORIGIN.c.commit_id, ORIGIN.c.service).where(*where)
        with self._reading() as conn:
            rows = conn.execute(ask.order_by(LOG_LINE.c.seq).limit(page)).all()
            head = _head(conn, LOG_LINE)
        records = tuple(
            LogRecord(
                seq=each.seq,
                app_id=query.app_id,
                source_id=each.source_id,
                deployment_id=each.deployment_id,
                instance_id=each.instance_id,
                commit=each.commit_id,
                service=each.service,
                at=each.at,
                message=each.message,
                severity=each.severity,
            )
            for each in rows
        )
        if len(records) < page:
            return Page(records, next=max(after, head), has_more=False)
        return Page(records, next=records[-1].seq, has_more=True)

    def log_head(self) -> int:
        with self._reading() as conn:
            return _head(conn, LOG_LINE)

    # requests

    def access_cursors(self) -> Sequence[FileCursor]:
        with self._reading() as conn:
            return [FileCursor(each.inode, each.head, each.offset) for each in conn.execute(sa.select(ACCESS_FILE))]

    def keep_access(self, given: Sequence[OfApp], *, cursors: Sequence[FileCursor], pace: Pace = HURRIED) -> None:
        with self._writing() as conn:
            grown: dict[int, int] = {}
            keys = {app_id: _app_key(conn, app_id) for app_id in {app_id for app_id, _ in given}}
            for piece in pace.pieces(given, size=ROWS):
                values: list[int | str] = []
                for app_id, each in piece:
                    key, size = keys[app_id], ROW_BYTES + len(each.text)
                    grown[key] = grown.get(key, 0) + size
                    values += (key, each.at, size, each.status, each.text)
                conn.exec_driver_sql(_put_requests(len(piece)), tuple(values))
            self._grow(conn, ACCESS_LINE, grown)
            conn.execute(sa.delete(ACCESS_FILE))
            if cursors:
                conn.execute(sa.insert(ACCESS_FILE), [dataclasses.asdict(each) for each in cursors])

    def accesses(self, query: AccessQuery, *, after: int, page: int) -> Page[AccessRecord]:
        ask = sa.select(ACCESS_LINE).where(*_asked(ACCESS_LINE, query, after)).order_by(ACCESS_LINE.c.seq)
        with self._reading() as conn:
            rows = conn.execute(ask.limit(page)).all()
            head = _head(conn, ACCESS_LINE)
        lines = ((each.seq, entries.line(each.request, app_id=query.app_id, at=each.at)) for each in rows)
        records = tuple(AccessRecord(seq, line) for seq, line in lines if line is not None)
        if len(rows) < page:
            return Page(records, next=max(after, head), has_more=False)
        return Page(records, next=rows[-1].seq, has_more=True)

    def access_counts(
        self, app_id: str, *, since: int, span_ms: int, after: int = 0, upto: int | None = None
    ) -> Mapping[int, Mapping[int, int]]:
        app = sa.select(APP.c.key).where(APP.c.app_id == app_id).scalar_subquery()
        begin = (ACCESS_LINE.c.at - ACCESS_LINE.c.at % span_ms).label("begin")
        ask = sa.select(begin, STATUS.label("status"), sa.func.count()).where(
            ACCESS_LINE.c.app == app, ACCESS_LINE.c.at >= since
        )
        ask = ask.where(ACCESS_LINE.c.seq > after) if after else ask
        ask = ask.where(ACCESS_LINE.c.seq <= upto) if upto is not None else ask
        found: dict[int, dict[int, int]] = {}
        with self._reading() as conn:
            for at, code, count in conn.execute(ask.group_by(begin, "status")):
                found.setdefault(int(at), {})[int(code)] = int(count)
        return found

    def access_head(self) -> int:
        with self._reading() as conn:
            return _head(conn, ACCESS_LINE)

    # bounds

    def drop_app(self, app_id: str) -> bool:
        with self._writing() as conn:
            app = conn.execute(sa.select(APP.c.key).where(APP.c.app_id == app_id)).scalar_one_or_none()
            if app is None:
                return True
            for table in (LOG_LINE, ACCESS_LINE):
                seqs = sa.select(table.c.seq).where(table.c.app == app).order_by(table.c.seq).limit(BATCH_ROWS)
                if conn.execute(sa.delete(table).where(table.c.seq.in_(seqs))).rowcount == BATCH_ROWS:
                    return False
            conn.execute(sa.delete(ORIGIN).where(ORIGIN.c.app == app))
            conn.execute(sa.delete(APP).where(APP.c.key == app))
            return True

    def expire(self, before: int) -> int:
        with self._writing() as conn:
            gone = 0
            for app in conn.execute(sa.select(APP.c.key)).scalars().all():
                for table in (LOG_LINE, ACCESS_LINE):
                    gone += _expire(conn, table, app=app, before=before)
                    if gone >= BATCH_ROWS:
                        return gone
            if not gone:
                conn.execute(sa.delete(ORIGIN).where(ORIGIN.c.gone, ORIGIN.c.at < before))
            return gone

    def compact(self) -> bool:
        with self._raw() as raw:
            free = _pragma(raw, "freelist_count")
            if free <= FREE_PAGES_KEPT:
                return False
            pages = min(COMPACT_PAGES, free - FREE_PAGES_KEPT)
            raw.executescript(f"pragma incremental_vacuum({pages})")  # execute() makes one step: one page
            return free - pages > FREE_PAGES_KEPT

    def settle(self) -> None:
        with self._raw() as raw:
            _sync(Path(f"{self._engine.url.database}-wal"))  # a reader may hold the checkpoint up, but not this
            raw.execute("pragma wal_checkpoint(passive)").fetchall()

    def figures(self) -> StoreFigures:
        with self._raw() as raw:
            size = _pragma(raw, "page_size")
            pages, free = _pragma(raw, "page_count"), _pragma(raw, "freelist_count")
        return StoreFigures(file_bytes=pages * size, free_bytes=free * size, lines=self.log_head())

    def _grow(self, conn: sa.Connection, table: sa.Table, grown: Mapping[int, int]) -> None:
        """Account for new rows; past the quota the oldest go, a little more than needed: not at every pass."""
        column, quota = _bytes_column(table), self._quota[table.name]
        for app, more in grown.items():
            put = sa.update(APP).where(APP.c.key == app).values({column: column + more}).returning(column)
            held = conn.execute(put).scalar_one()
            if held > quota:
                _trim(conn, table, app=app, excess=held - quota + quota // 32)

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with _classed("write"), self._engine.begin() as conn:
            yield conn

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with _classed("read"), self._engine.connect().execution_options(reads=True) as conn:
            yield conn

    @contextmanager
    def _raw(self) -> Iterator[Any]:
        """A connection without a transaction, for what SQLite does outside of one."""
        with _classed("pragma"):
            fairy = self._engine.raw_connection()
            try:
                yield fairy.cursor()
            finally:
                fairy.close()


def _put_requests(count: int) -> str:
    return f"insert into {ACCESS_LINE.name} (app, at, size, status, request) values " + ", ".join(
        ["(?, ?, ?, ?, ?)"] * count
    )


def _app_key(conn: sa.Connection, app_id: str) -> int:
    found = conn.execute(sa.select(APP.c.key).where(APP.c.app_id == app_id)).scalar_one_or_none()
    if found is not None:
        return int(found)
    return int(conn.execute(sa.insert(APP).values(app_id=app_id).returning(APP.c.key)).scalar_one())


def _put_origin(conn: sa.Connection, taken: Taken, *, app: int) -> int:
    source, cursor = taken.source, taken.cursor
    moved = {"offset": cursor.offset, "at": cursor.at, "dropped": cursor.dropped, "drained": cursor.drained}
    row = {
        "source_id": source.id,
        "app": app,
        "deployment_id": source.deployment_id,
        "instance_id": source.instance_id,
        "commit_id": source.commit,
        "service": source.service,
        "gone": False,
    }
    put = upsert(ORIGIN).values(**row, **moved)
    put = put.on_conflict_do_update(index_elements=[ORIGIN.c.source_id], set_={**moved, "gone": False})
    return int(conn.execute(put.returning(ORIGIN.c.key)).scalar_one())


def _asked(table: sa.Table, query: LogQuery | AccessQuery, after: int) -> list[sa.ColumnElement[bool]]:
    app = sa.select(APP.c.key).where(APP.c.app_id == query.app_id).scalar_subquery()
    where = [table.c.app == app, table.c.seq > after]
    if query.since is not None:
        where.append(table.c.at >= query.since)
    if query.until is not None:
        where.append(table.c.at < query.until)
    return where


def _head(conn: sa.Connection, table: sa.Table) -> int:
    """The newest sequence number ever given, also when its row is gone."""
    ask = sa.text("select seq from sqlite_sequence where name = :name")
    return int(conn.execute(ask, {"name": table.name}).scalar_one_or_none() or 0)


def _bytes_column(table: sa.Table) -> sa.Column[int]:
    return APP.c.log_bytes if table is LOG_LINE else APP.c.access_bytes


def _oldest(conn: sa.Connection, table: sa.Table, app: int) -> Sequence[Any]:
    ask = sa.select(table.c.seq, table.c.at, table.c.size).where(table.c.app == app)
    return conn.execute(ask.order_by(table.c.seq).limit(BATCH_ROWS)).all()


def _delete_upto(conn: sa.Connection, table: sa.Table, app: int, rows: Sequence[Any]) -> int:
    """Delete `rows`, the oldest of the app; returns their bytes."""
    size = sum(int(each.size) for each in rows)
    conn.execute(sa.delete(table).where(table.c.app == app, table.c.seq <= rows[-1].seq))
    column = _bytes_column(table)
    conn.execute(sa.update(APP).where(APP.c.key == app).values({column: column - size}))
    return size


def _trim(conn: sa.Connection, table: sa.Table, *, app: int, excess: int) -> None:
    while excess > 0 and (rows := _oldest(conn, table, app)):
        count = held = 0
        for row in rows:
            if held >= excess:
                break
            held += row.size
            count += 1
        excess -= _delete_upto(conn, table, app, rows[:count])


def _expire(conn: sa.Connection, table: sa.Table, *, app: int, before: int) -> int:
    rows = _oldest(conn, table, app)
    old = next((index for index, row in enumerate(rows) if row.at >= before), len(rows))
    if old:
        _delete_upto(conn, table, app, rows[:old])
    return old


def _sync(path: Path) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as cause:
        raise UnavailableError("the logs database cannot be written to the disk") from cause
    try:
        os.fsync(fd)
    except OSError as cause:
        raise UnavailableError("the logs database cannot be written to the disk") from cause
    finally:
        os.close(fd)


def _pragma(cursor: Any, name: str) -> int:
    return int(cursor.execute(f"pragma {name}").fetchone()[0])


@contextmanager
def _classed(what: str) -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as cause:
        raise UnavailableError("the logs database does not answer", doing=what) from cause
