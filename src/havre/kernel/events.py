"""What happened, told to whoever cares.

An event is a row written in the transaction that made it true (`Tx.emit`); after the commit the bus
wakes its subscribers. A wake may be lost with the process, the row may not: a reconciler therefore
reads everything again on its timer, and a reader of history reads the table.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import sqlalchemy as sa
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

METADATA = sa.MetaData()
EVENT = sa.Table(
    "event",
    METADATA,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("owner_id", sa.String(64), index=True),
    sa.Column("actor_id", sa.String(64)),
    sa.Column("subject", sa.String(80), index=True),
    sa.Column("facts", sa.JSON, nullable=False),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: `room.noun.verb`, past tense. `seq` is 0 for a wake without a row."""

    seq: int
    name: str
    at: int
    owner_id: str | None = None
    actor_id: str | None = None
    subject: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Watch:
    """How many events of `prefix` were published since it began."""

    prefix: str
    count: int = 0


class Bus:
    """Delivers events in this process. A slow subscriber loses nothing but may use memory: streams are unbounded
    only up to `LIMIT`, past which the oldest wake is the one that counts and later ones are dropped."""

    LIMIT = 10_000

    def __init__(self) -> None:
        self._subscribers: dict[MemoryObjectSendStream[Event], tuple[str, ...]] = {}
        self._watches: list[Watch] = []

    @asynccontextmanager
    async def subscribe(self, *prefixes: str) -> AsyncIterator[MemoryObjectReceiveStream[Event]]:
        """Receive the events whose name starts with one of `prefixes` (all, when none is given)."""
        send, receive = anyio.create_memory_object_stream[Event](math.inf)
        self._subscribers[send] = prefixes or ("",)
        try:
            yield receive
        finally:
            del self._subscribers[send]
            send.close()
            receive.close()

    def publish(self, event: Event) -> None:
        """Hand `event` to its subscribers. Call from the event loop."""
        for watch in self._watches:
            watch.count += event.name.startswith(watch.prefix)
        for send, prefixes in list(self._subscribers.items()):
            if event.name.startswith(prefixes) and send.statistics().current_buffer_used < self.LIMIT:
                send.send_nowait(event)

    def watch(self, prefix: str) -> Watch:
        """Whether something of `prefix` was published, for who looks now and then; told before its writer goes on."""
        made = Watch(prefix)
        self._watches.append(made)
        return made

    def wake(self, name: str, *, at: int = 0) -> None:
        """Publish an event that has no row: something may have changed, look again."""
        self.publish(Event(seq=0, name=name, at=at))


def events_after(conn: sa.Connection, seq: int, *, limit: int = 500) -> list[Event]:
    """The rows after `seq`, oldest first."""
    rows = conn.execute(sa.select(EVENT).where(EVENT.c.seq > seq).order_by(EVENT.c.seq).limit(limit))
    return [Event(**row._mapping) for row in rows]


def forget_events_before(conn: sa.Connection, at: int) -> int:
    """Delete the events older than `at`; returns how many."""
    return conn.execute(sa.delete(EVENT).where(EVENT.c.at < at)).rowcount
