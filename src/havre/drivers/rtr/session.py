"""One session of RTR without its socket: bytes in, bytes out, a table that changes only at an End of Data.

A router sees either what the cache had before or what it has now, never half (RFC 8210, 5.8): a first answer fills a
new table, a full one after it a renewal of that, a difference is kept aside, checked, and then carried out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar, cast

from havre.base.errors import ExhaustedError, HavreError, InvalidError, UnavailableError
from havre.drivers.rtr import pdus

MOST_VRPS = 8_000_000
NEWEST = 1
Change = tuple[int, int, int]  # family, key, value


class Table(Protocol):
    """What holds VRPs, as keys and values (see `pdus`)."""

    def __len__(self) -> int: ...

    def announce(self, family: int, key: int, value: int) -> bool:
        """Add one; False when it is there already."""
        ...

    def withdraw(self, family: int, key: int, value: int) -> bool:
        """Take one away; False when it is not there."""
        ...

    def has(self, family: int, key: int, value: int) -> bool: ...

    def renewal(self) -> Renewal:
        """What takes a full answer in while this counts."""
        ...


class Renewal(Protocol):
    """A full answer on its way to a table that has one. One that is not committed changes nothing."""

    def __len__(self) -> int: ...

    def announce(self, family: int, key: int, value: int) -> bool:
        """Take one in; False when it came already."""
        ...

    def commit(self) -> None:
        """From here on the table has what this answer had, and nothing else."""
        ...


T = TypeVar("T", bound=Table)


class OlderVersionError(HavreError):
    """The cache speaks only an older version: connect again and ask in that."""


class NoDataError(UnavailableError):
    """The cache has not validated anything yet: ask it again later."""


@dataclass
class Session(Generic[T]):
    """What we and one cache agree on. `table` is what counts now; None until the first End of Data.

    Differences are asked for within a connection only. A new one asks for everything, which takes a second or two:
    a StayRTR 0.5 that is restarted within a second has the session id and serial of its former life, and a client that
    trusts these keeps what that life said. The old table counts until the new one is complete.
    """

    make: Callable[[], T]
    version: int = NEWEST
    table: T | None = None
    session_id: int | None = None
    serial: int = 0
    timers: pdus.Timers = field(default_factory=pdus.Timers)
    notified: int | None = None  # the serial of the last Serial Notify
    syncs: int = 0
    _fresh: T | Renewal | None = None
    _changes: list[tuple[bool, Change]] = field(default_factory=list)
    _answering: bool = False
    _asked: bool = False
    _held: bytearray = field(default_factory=bytearray)

    def query(self) -> bytes:
        """What to send now: for everything, or for what changed since the serial that we have."""
        self._answering, self._fresh, self._changes, self._asked = False, None, [], True
        if self.table is None or self.session_id is None:
            self.session_id = None
            return pdus.query(self.version)
        return pdus.query(self.version, session=self.session_id, serial=self.serial)

    def begin(self) -> bytes:
        """What to send on a new connection: for everything."""
        self._held.clear()
        self.notified = self.session_id = None
        return self.query()

    @property
    def idle(self) -> bool:
        """Whether nothing is asked that was not answered."""
        return not self._asked

    def forget_session(self) -> None:
        """The cache and we disagree: the next question is for everything. What we have counts until then."""
        self.session_id = None

    def forget(self) -> None:
        """What the cache said is too old to be believed (RFC 8210, 6: expired)."""
        self.table = self.session_id = None

    def take(self, received: bytes) -> list[bytes]:
        """Take in what the cache sent; what is to be sent back.

        Raises OlderVersionError, NoDataError; InvalidError when the cache breaks the protocol, with the Error Report to
        send it in its fact `report`; UnavailableError when the cache reports an error of ours or of its own.
        """
        self._held += received
        at, replies = 0, list[bytes]()
        try:
            while True:
                if self._answering:
                    at = self._prefixes(at)
                    if len(self._changes) > MOST_VRPS or (self._fresh is not None and len(self._fresh) > MOST_VRPS):
                        raise ExhaustedError(f"the cache has more than {MOST_VRPS} VRPs")
                unit = pdus.next_unit(self._held, at)
                if unit is None:
                    break
                body = bytes(self._held[at : at + unit[3]])
                at += unit[3]
                replies += self._unit(unit, body)
        except InvalidError as error:
            code = error.facts.get("code", pdus.CORRUPT)
            about = (
                b"" if self._held[at + 1 : at + 2] == bytes([pdus.ERROR_REPORT]) else bytes(self._held[at : at + 64])
            )
            error.facts["report"] = pdus.error(self.version, int(str(code)), about=about, text=error.message)
            raise
        finally:
            del self._held[:at]
        return replies

    def _prefixes(self, at: int) -> int:
        """Take the run of prefixes that begins at `at`: the hot path, for which all else is laid out."""
        held, changes = memoryview(self._held), self._changes
        end, version = len(held), self.version
        add = self._fresh.announce if self._fresh is not None else None
        try:
            while end - at >= 20:
                kind = held[at + 1]
                if kind == pdus.IPV4:
                    seen, _, _, size, flags, length, longest, _, address, asn = pdus.V4.unpack_from(held, at)
                    if size != 20 or seen != version or not length <= longest <= 32:
                        raise self._wrong(at)
                    key, family = (4_294_967_296 | address) >> (32 - length), 4
                    if key << (32 - length) != 4_294_967_296 | address:
                        raise self._wrong(at)
                elif kind == pdus.IPV6 and end - at >= 32:
                    seen, _, _, size, flags, length, longest, _, high, low, asn = pdus.V6.unpack_from(held, at)
                    if size != 32 or seen != version or not length <= longest <= 128:
                        raise self._wrong(at)
                    address = 1 << 128 | high << 64 | low
                    key, family = address >> (128 - length), 6
                    if key << (128 - length) != address:
                        raise self._wrong(at)
                else:
                    return at
                if add is not None and flags & 1:
                    if not add(family, key, asn << 8 | longest):
                        raise InvalidError("the cache announced the same VRP twice", code=pdus.DUPLICATE)
                else:
                    changes.append((bool(flags & 1), (family, key, asn << 8 | longest)))
                at += size
            return at
        finally:
            held.release()

    def _unit(self, unit: tuple[int, int, int, int], body: bytes) -> list[bytes]:
        version, kind, session, _ = unit
        if kind == pdus.ERROR_REPORT:
            raise self._reported(version, body)
        if version != self.version:
            if kind == pdus.NOTIFY:  # before it knows our version a cache may notify in its own (RFC 8210, 7)
                return []
            if version > self.version or self.syncs or self._answering:
                raise InvalidError(f"the cache changed to version {version}", code=pdus.UNEXPECTED_VERSION)
            self.version = version
        if kind == pdus.NOTIFY:
            self.notified = pdus.SERIAL.unpack(body)[4]
            return []
        if kind == pdus.CACHE_RESET:
            self.session_id = None
            return [self.query()]
        if kind == pdus.CACHE_RESPONSE:
            return self._response(session)
        if kind == pdus.END_OF_DATA and self._answering:
            self._end(session, body)
            return []
        if kind == pdus.ROUTER_KEY and self._answering and version == 1:
            return []  # keys of BGPsec, which nobody here speaks
        raise InvalidError(f"the cache sent a {pdus.NAMES[kind]} out of turn", code=pdus.INVALID)

    def _response(self, session: int) -> list[bytes]:
        if self.session_id is not None and session != self.session_id:
            self.session_id = None  # another life of the cache: its serials mean something else (RFC 8210, 5.1)
            return [self.query()]
        if self._answering:
            raise InvalidError("the cache answered twice at once", code=pdus.INVALID)
        if self.session_id is None:
            self._fresh = self.make() if self.table is None else self.table.renewal()
        else:
            self._fresh = None
        self.session_id, self._answering, self._changes = session, True, []
        return []

    def _end(self, session: int, body: bytes) -> None:
        if session != self.session_id:
            raise InvalidError("the cache ended another session's data", code=pdus.CORRUPT)
        if len(body) != (12 if self.version == 0 else 24):
            raise InvalidError("the cache's End of Data is of another version", code=pdus.CORRUPT)
        if self._fresh is not None:
            if self._changes:
                raise InvalidError("the cache withdrew in a full answer", code=pdus.UNKNOWN_WITHDRAWN)
            if self.table is None:
                self.table = cast("T", self._fresh)
            else:
                cast("Renewal", self._fresh).commit()
        else:
            self._carry_out()
        self.serial = pdus.SERIAL.unpack_from(body)[4]
        if self.version == 1:
            self.timers = pdus.Timers.bounded(*pdus.END_1.unpack(body)[5:])
        self._answering, self._fresh, self._changes, self._asked = False, None, [], False
        self.syncs += 1

    def _carry_out(self) -> None:
        """The whole difference or nothing: it is checked in full before the table is touched."""
        assert self.table is not None
        after: dict[Change, bool] = {}
        for announce, change in self._changes:
            there = after[change] if change in after else self.table.has(*change)
            if there == announce:
                text = "announced a VRP that we have" if announce else "withdrew a VRP that we do not have"
                raise InvalidError(f"the cache {text}", code=pdus.DUPLICATE if announce else pdus.UNKNOWN_WITHDRAWN)
            after[change] = announce
        if len(self.table) + len(after) > MOST_VRPS:
            raise ExhaustedError(f"the cache has more than {MOST_VRPS} VRPs")
        for announce, change in self._changes:
            (self.table.announce if announce else self.table.withdraw)(*change)

    def _reported(self, version: int, body: bytes) -> HavreError:
        code, text = pdus.error_text(body)
        if code == pdus.NO_DATA:
            return NoDataError("the cache has no data yet")
        if code == pdus.BAD_VERSION and version < self.version:
            return OlderVersionError(f"the cache speaks version {version}", version=version)
        return UnavailableError(f"the cache reported: {pdus.SAYS.get(code, code)}: {text[:300]}", code=code)

    def _wrong(self, at: int) -> InvalidError:
        """What is wrong with the prefix at `at`."""
        version, kind, _, size = pdus.HEADER.unpack_from(self._held, at)
        if version != self.version:
            return InvalidError(f"the cache changed to version {version}", code=pdus.UNEXPECTED_VERSION)
        if size != pdus.LENGTHS[kind][0]:
            return InvalidError(f"the cache sent a {pdus.NAMES[kind]} of {size} bytes", code=pdus.CORRUPT)
        return InvalidError("the cache sent a prefix that contradicts itself", code=pdus.CORRUPT)
