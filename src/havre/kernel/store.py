"""The control plane's state: SQL tables, one writer, an acknowledged write is on the disk.

`write` runs a synchronous function in one transaction on the writer thread. On SQLite (WAL,
synchronous=FULL) writes that wait together share one commit, each in its own savepoint: a failing one
takes only itself down. On PostgreSQL each write is a transaction of its own. The function sees only
the transaction; nothing outside is touched while it is open.
Measured reasons: docs/decisions/0002-state.md.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import anyio.to_thread
import sqlalchemy as sa
import structlog

from havre.base.errors import BrokenError, ConflictError, UnavailableError
from havre.kernel.clock import Clock
from havre.kernel.events import EVENT, Bus, Event

T = TypeVar("T")
log = structlog.get_logger()

SCHEMA_VERSION = sa.Table(
    "schema_version",
    sa.MetaData(),
    sa.Column("room", sa.String(40), primary_key=True),
    sa.Column("step", sa.Integer, nullable=False),
)


@dataclass(frozen=True)
class Schema:
    """A room's tables. `steps[n]` brings the database from version n to n + 1; a released step never changes."""

    room: str
    metadata: sa.MetaData
    steps: tuple[Callable[[sa.Connection], None], ...]


class Tx:
    """An open write transaction. `now` is the moment it began, ms."""

    def __init__(self, conn: sa.Connection, now: int) -> None:
        self.conn = conn
        self.now = now
        self.events: list[Event] = []

    def emit(
        self,
        name: str,
        *,
        owner_id: str | None = None,
        actor_id: str | None = None,
        subject: str | None = None,
        **facts: Any,
    ) -> None:
        """Record that something happened; subscribers hear of it after the commit."""
        row: dict[str, Any] = {"name": name, "at": self.now, "owner_id": owner_id, "actor_id": actor_id}
        row |= {"subject": subject, "facts": facts}
        result = self.conn.execute(sa.insert(EVENT).values(**row))
        key = result.inserted_primary_key
        self.events.append(Event(seq=int(key[0]) if key else 0, **row))


@dataclass
class _Job:
    work: Callable[[Tx], Any]
    future: Future[Any]


class Store:
    """Opens with `Store.open(url, …)`; `url` is SQLAlchemy's, `sqlite:///…` or `postgresql+psycopg://…`."""

    BATCH = 64  # writes that share one commit

    def __init__(self, engine: sa.Engine, *, clock: Clock, bus: Bus) -> None:
        self._engine = engine
        self._clock = clock
        self._bus = bus
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._readers = anyio.CapacityLimiter(4)
        self._shares_commit = engine.dialect.name == "sqlite"
        self._thread = threading.Thread(target=self._run_writer, name="store-writer", daemon=True)
        self._closed = False
        self._thread.start()

    @classmethod
    def open(cls, url: str, *, clock: Clock, bus: Bus) -> Store:
        """Raises UnavailableError when the database cannot be opened."""
        engine = _sqlite_engine(url) if url.startswith("sqlite") else sa.create_engine(url, pool_pre_ping=True)
        try:
            with engine.connect().execution_options(reads=True) as conn:
                conn.execute(sa.text("select 1"))
        except sa.exc.OperationalError as cause:
            raise UnavailableError("the state database cannot be opened", url=engine.url.render_as_string()) from cause
        return cls(engine, clock=clock, bus=bus)

    @property
    def dialect(self) -> str:
        return self._engine.dialect.name

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in one transaction and return its result once it is durable.

        What `work` raises comes out here and nothing of it is kept. A cancelled caller does not cancel the
        write: it is then unknown to the caller, never half-made. `work` may run twice on PostgreSQL (deadlock).
        """
        if self._closed:
            raise UnavailableError("the state database is closed")
        future: Future[T] = Future()
        self._jobs.put(_Job(work, future))
        return cast(T, await _result_of(future, self._publish))

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work` on a snapshot of the committed state."""
        return await anyio.to_thread.run_sync(self.read_here, work, limiter=self._readers)

    def read_here(self, work: Callable[[sa.Connection], T]) -> T:
        """`read`, for who is in a worker thread already."""
        with self._engine.connect().execution_options(reads=True) as conn:
            return work(conn)

    async def migrate(self, schemas: Sequence[Schema]) -> None:
        """Bring each room's tables to their newest step; every step commits with its number.

        Raises BrokenError when the database is newer than this program.
        """

        def create(tx: Tx) -> None:
            SCHEMA_VERSION.metadata.create_all(tx.conn)

        await self.write(create)
        for schema in schemas:
            await self.write(lambda tx, schema=schema: _migrate(tx.conn, schema))  # type: ignore[misc]

    def close(self) -> None:
        """Finish the writes under way and close. Idempotent."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            self._thread.join(timeout=30)
            self._engine.dispose()

    # the writer thread

    def _run_writer(self) -> None:
        while (first := self._jobs.get()) is not None:
            batch, stop = [first], False
            while self._shares_commit and len(batch) < self.BATCH and not self._jobs.empty():
                following = self._jobs.get()
                if following is None:
                    stop = True
                    break
                batch.append(following)
            self._commit(batch)
            if stop:
                return

    def _commit(self, batch: list[_Job]) -> None:
        done: list[tuple[_Job, Any, list[Event]]] = []
        try:
            with self._engine.begin() as conn:
                for job in batch:
                    tx = Tx(conn, self._clock.now())
                    try:
                        with conn.begin_nested():
                            done.append((job, job.work(tx), tx.events))
                    except Exception as error:  # noqa: BLE001 - handed to whoever asked for the write
                        job.future.set_exception(_classed(error))
        except Exception as error:  # noqa: BLE001 - the commit itself failed: nobody's write is kept
            log.error("kernel.store.commit_failed", error=str(error))
            for job in batch:
                if not job.future.done():
                    job.future.set_exception(_classed(error))
            return
        for job, result, events in done:
            job.future.set_result((result, events))

    def _publish(self, events: list[Event]) -> None:
        for event in events:
            self._bus.publish(event)


async def _result_of(future: Future[Any], publish: Callable[[list[Event]], None]) -> Any:
    """Wait for `future` on the event loop; the events are published even when the caller was cancelled."""
    import asyncio  # noqa: TID251 - anyio has no wait for a concurrent.futures.Future

    loop = asyncio.get_running_loop()

    def settle(settled: Future[Any]) -> None:
        if settled.cancelled() or settled.exception() is not None:
            return
        events = settled.result()[1]
        if events and not loop.is_closed():
            loop.call_soon_threadsafe(publish, events)

    future.add_done_callback(settle)
    result, _ = await asyncio.shield(asyncio.wrap_future(future))
    return result


def _classed(error: Exception) -> Exception:
    if isinstance(error, sa.exc.IntegrityError):
        conflict = ConflictError("somebody else has just taken or changed this; look again")
        conflict.__cause__ = error
        return conflict
    if isinstance(error, sa.exc.OperationalError):
        unavailable = UnavailableError("the state database does not take writes")
        unavailable.__cause__ = error
        return unavailable
    return error


def _migrate(conn: sa.Connection, schema: Schema) -> None:
    where = SCHEMA_VERSION.c.room == schema.room
    at = conn.execute(sa.select(SCHEMA_VERSION.c.step).where(where)).scalar_one_or_none()
    if at is None:
        conn.execute(sa.insert(SCHEMA_VERSION).values(room=schema.room, step=0))
        at = 0
    if at > len(schema.steps):
        raise BrokenError(
            f"the data of room {schema.room!r} was written by a newer version (schema {at}, known {len(schema.steps)})"
        )
    for step in schema.steps[at:]:
        step(conn)
    conn.execute(sa.update(SCHEMA_VERSION).where(where).values(step=len(schema.steps)))


def _sqlite_engine(url: str) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"check_same_thread": False, "timeout": 30})

    def on_connect(raw: Any, _record: object) -> None:
        raw.isolation_level = None  # the driver's own BEGIN comes too late for savepoints
        cursor = raw.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
            cursor.execute(f"pragma {pragma}")
        cursor.close()

    def on_begin(conn: sa.Connection) -> None:
        conn.exec_driver_sql("BEGIN" if conn.get_execution_options().get("reads") else "BEGIN IMMEDIATE")

    sa.event.listen(engine, "connect", on_connect)
    sa.event.listen(engine, "begin", on_begin)
    return engine


def events_schema() -> Schema:
    """The table of events, which the store itself writes."""
    metadata = EVENT.metadata
    return Schema("kernel.events", metadata, (metadata.create_all,))
