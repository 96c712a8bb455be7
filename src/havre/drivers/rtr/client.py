"""A client of one RTR cache: it connects, keeps its table up to date, and says how old that is.

It lives through the cache's restarts: a connection that ends is made again after the cache's retry time. What could not
be refreshed for longer than the expire time is forgotten (RFC 8210, 6): without a table every route is `unknown`, which
lets traffic flow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, Protocol

import anyio
from anyio.abc import SocketStream

from havre.base.errors import HavreError, UnavailableError
from havre.drivers.rtr.session import NoDataError, OlderVersionError, Session, T

CHUNK = 262_144


class Clock(Protocol):
    """What a client needs of the kernel's clock."""

    def now(self) -> int: ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True)
class Cache:
    """Where a cache is.

    connect_s, quiet_s: how long a connection, and an answer's next byte, may take. retry_s: the pause before another
    try until the cache has told its own.
    """

    host: str
    port: int = 323
    connect_s: float = 10.0
    quiet_s: float = 60.0
    retry_s: float = 10.0

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class State:
    """How a client stands. `synced_at`: when its table was last equal to the cache's (ms), 0 for never."""

    connected: bool = False
    synced_at: int = 0
    serial: int = 0
    version: int = 1
    error: str = ""


class Client(Generic[T]):
    """One cache, followed for as long as `run` runs. `make` gives an empty table."""

    def __init__(self, cache: Cache, make: Callable[[], T], *, clock: Clock) -> None:
        self.cache = cache
        self.state = State()
        self._clock = clock
        self._session = Session(make)
        self._next = anyio.Event()
        self._synced = 0.0  # monotonic

    @property
    def table(self) -> T | None:
        """What the cache has validated; None before the first answer, and once that is too old."""
        return self._session.table

    async def changed(self) -> State:
        """Wait for the next answer that is complete, or for the loss of the table."""
        await self._next.wait()
        return self.state

    async def run(self) -> None:
        """Follow the cache for ever; what goes wrong stands in `state.error`."""
        while True:
            again_at_once = False
            try:
                await self._follow()
            except OlderVersionError:
                self._session.version, again_at_once = 0, True
            except HavreError as error:
                self._tell(connected=False, error=error.message)
            self._expire()
            if not again_at_once:
                session = self._session
                await self._clock.sleep(session.timers.retry_s if session.syncs else self.cache.retry_s)

    async def once(self, *, limit_s: float = 120.0) -> T:
        """The table after one full answer. Raises UnavailableError or InvalidError when there is none in time."""
        try:
            with anyio.fail_after(limit_s):
                return await self._once()
        except TimeoutError as cause:
            raise UnavailableError(f"the RTR cache {self.cache} was not done within {limit_s:.0f} s") from cause

    async def _once(self) -> T:
        while True:
            try:
                await self._follow(once=True)
            except OlderVersionError:
                self._session.version = 0
                continue
            assert self._session.table is not None
            return self._session.table

    async def _follow(self, *, once: bool = False) -> None:
        """One connection, until it ends or, `once`, until the first End of Data."""
        session = self._session
        try:
            with anyio.fail_after(self.cache.connect_s):
                stream = await anyio.connect_tcp(self.cache.host, self.cache.port)
        except (OSError, TimeoutError) as cause:
            raise UnavailableError(f"the RTR cache {self.cache} does not accept a connection") from cause
        async with stream:
            heard = False
            try:
                await stream.send(session.begin())
                before = session.syncs
                while not (once and session.syncs > before):
                    received = await self._hear(stream)
                    heard = True
                    await self._take(stream, received)
            except NoDataError as error:
                self._tell(connected=False, error=error.message)
                raise
            except (OSError, TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError) as cause:
                if not heard and not session.syncs:
                    session.version = 1 - session.version  # a cache too old to refuse version 1 hangs up
                raise UnavailableError(f"the RTR cache {self.cache} ended the connection") from cause

    async def _hear(self, stream: SocketStream) -> bytes:
        """The next bytes; asks again when the cache has notified, or said nothing for the refresh time."""
        session = self._session
        if session.idle and session.notified in (None, session.serial):
            refresh_s = self._synced + session.timers.refresh_s - self._clock.monotonic()
            with anyio.move_on_after(max(refresh_s, 0.001)):
                return await stream.receive(CHUNK)
        if session.idle:
            session.notified = None
            await stream.send(session.query())
        with anyio.fail_after(self.cache.quiet_s):
            return await stream.receive(CHUNK)

    async def _take(self, stream: SocketStream, received: bytes) -> None:
        session, before = self._session, self._session.syncs
        try:
            replies = session.take(received)
        except HavreError as error:
            report = error.facts.get("report")
            if isinstance(report, bytes):
                session.forget_session()
                with anyio.move_on_after(self.cache.connect_s):
                    await stream.send(report)
            raise
        for each in replies:
            await stream.send(each)
        if session.syncs > before:
            self._synced = self._clock.monotonic()
            self._tell(connected=True, error="", synced_at=self._clock.now())

    def _expire(self) -> None:
        session = self._session
        if session.table is not None and self._clock.monotonic() - self._synced > session.timers.expire_s:
            session.forget()
            self._tell(connected=False, error=f"nothing from {self.cache} for {session.timers.expire_s} s: forgotten")

    def _tell(self, *, connected: bool, error: str, synced_at: int | None = None) -> None:
        at = self.state.synced_at if synced_at is None else synced_at
        session = self._session
        self.state = replace(
            self.state, connected=connected, error=error, synced_at=at, serial=session.serial, version=session.version
        )
        if synced_at is not None or session.table is None:
            self._next.set()
            self._next = anyio.Event()
