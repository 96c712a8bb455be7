"""The protocol data units of RTR (RFC 8210; version 0: RFC 6810), as bytes and back. Pure.

Here a VRP is a key and a value. The key is the prefix with a one before its bits, `(1 << width | address) >>
(width - length)`: one number that no other prefix of the family has, and whose right shifts are the prefixes that cover
it. The value is `asn << 8 | max_length`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from havre.base.errors import InvalidError

HEADER = struct.Struct("!BBHI")
V4 = struct.Struct("!BBHIBBBBII")
V6 = struct.Struct("!BBHIBBBBQQI")
SERIAL = struct.Struct("!BBHII")
END_1 = struct.Struct("!BBHIIIII")
NOTIFY, SERIAL_QUERY, RESET_QUERY, CACHE_RESPONSE, IPV4, IPV6 = 0, 1, 2, 3, 4, 6
END_OF_DATA, CACHE_RESET, ROUTER_KEY, ERROR_REPORT = 7, 8, 9, 10
CORRUPT, INTERNAL, NO_DATA, INVALID, BAD_VERSION, BAD_TYPE, UNKNOWN_WITHDRAWN, DUPLICATE, UNEXPECTED_VERSION = range(9)
SAYS = {
    CORRUPT: "corrupt data",
    INTERNAL: "internal error",
    NO_DATA: "no data available",
    INVALID: "invalid request",
    BAD_VERSION: "unsupported protocol version",
    BAD_TYPE: "unsupported PDU type",
    UNKNOWN_WITHDRAWN: "withdrawal of unknown record",
    DUPLICATE: "duplicate announcement received",
    UNEXPECTED_VERSION: "unexpected protocol version",
}
WIDTH = {4: 32, 6: 128}
NAMES = {
    NOTIFY: "Serial Notify",
    SERIAL_QUERY: "Serial Query",
    RESET_QUERY: "Reset Query",
    CACHE_RESPONSE: "Cache Response",
    IPV4: "IPv4 Prefix",
    IPV6: "IPv6 Prefix",
    END_OF_DATA: "End of Data",
    CACHE_RESET: "Cache Reset",
    ROUTER_KEY: "Router Key",
    ERROR_REPORT: "Error Report",
}
LENGTHS = {
    NOTIFY: (12, 12),
    SERIAL_QUERY: (12, 12),
    RESET_QUERY: (8, 8),
    CACHE_RESPONSE: (8, 8),
    IPV4: (20, 20),
    IPV6: (32, 32),
    END_OF_DATA: (12, 24),
    CACHE_RESET: (8, 8),
    ROUTER_KEY: (32, 4096),
    ERROR_REPORT: (16, 65_536),
}


@dataclass(frozen=True, slots=True)
class Timers:
    """What a cache asks of us, in seconds (RFC 8210 section 6); within its bounds, whatever the cache says."""

    refresh_s: int = 3600
    retry_s: int = 600
    expire_s: int = 7200

    @classmethod
    def bounded(cls, refresh_s: int, retry_s: int, expire_s: int) -> Timers:
        refresh_s, retry_s = min(max(refresh_s, 1), 86_400), min(max(retry_s, 1), 7200)
        return cls(refresh_s, retry_s, max(min(max(expire_s, 600), 172_800), refresh_s + 1, retry_s + 1))


def key_of(family: int, address: int, length: int) -> int:
    """The key of a prefix, whose bits behind `length` are zero."""
    width = WIDTH[family]
    return (1 << width | address) >> (width - length)


def length_of(key: int) -> int:
    return key.bit_length() - 1


def address_of(family: int, key: int) -> int:
    width = WIDTH[family]
    return (key << (width - length_of(key))) & ((1 << width) - 1)


def query(version: int, *, session: int | None = None, serial: int = 0) -> bytes:
    """Ask for everything, or, with a session, for what changed since `serial`."""
    if session is None:
        return HEADER.pack(version, RESET_QUERY, 0, 8)
    return SERIAL.pack(version, SERIAL_QUERY, session, 12, serial)


def plain(version: int, kind: int, session: int = 0) -> bytes:
    """A unit that is a header and nothing more."""
    return HEADER.pack(version, kind, session, 8)


def notify(version: int, session: int, serial: int) -> bytes:
    return SERIAL.pack(version, NOTIFY, session, 12, serial)


def prefix(version: int, family: int, key: int, value: int, *, announce: bool = True) -> bytes:
    """One VRP, announced or withdrawn."""
    address, length, longest, asn = address_of(family, key), length_of(key), value & 255, value >> 8
    if family == 4:
        return V4.pack(version, IPV4, 0, 20, int(announce), length, longest, 0, address, asn)
    return V6.pack(
        version, IPV6, 0, 32, int(announce), length, longest, 0, address >> 64, address & 0xFFFF_FFFF_FFFF_FFFF, asn
    )


def end_of_data(version: int, session: int, serial: int, timers: Timers) -> bytes:
    if version == 0:
        return SERIAL.pack(0, END_OF_DATA, session, 12, serial)
    return END_1.pack(version, END_OF_DATA, session, 24, serial, timers.refresh_s, timers.retry_s, timers.expire_s)


def error(version: int, code: int, *, about: bytes = b"", text: str = "") -> bytes:
    """An Error Report about a unit that the other side sent; never about an Error Report."""
    said = text.encode()[:1024]
    about = about[:1024]
    body = struct.pack("!I", len(about)) + about + struct.pack("!I", len(said)) + said
    return HEADER.pack(version, ERROR_REPORT, code, 8 + len(body)) + body


def error_text(unit: bytes) -> tuple[int, str]:
    """The code and the words of an Error Report. Raises InvalidError when it does not hold together."""
    try:
        code = HEADER.unpack_from(unit)[2]
        inner = struct.unpack_from("!I", unit, 8)[0]
        size = struct.unpack_from("!I", unit, 12 + inner)[0]
    except struct.error as cause:
        raise InvalidError("the cache's Error Report is cut off") from cause
    if 16 + inner + size != len(unit):
        raise InvalidError("the cache's Error Report contradicts its own length")
    return code, unit[16 + inner :].decode("utf-8", "replace") or SAYS.get(code, f"code {code}")


def next_unit(data: bytes | bytearray, at: int) -> tuple[int, int, int, int] | None:
    """Version, type, session field and length of the unit at `at`; None while it is not all there.

    Raises InvalidError for a type or a length that the protocol does not have.
    """
    if len(data) - at < 8:
        return None
    version, kind, session, length = HEADER.unpack_from(data, at)
    least, most = LENGTHS.get(kind, (0, 0))
    if not most:
        raise InvalidError(f"the cache sent a unit of type {kind}, which RTR does not have", code=BAD_TYPE)
    if not least <= length <= most:
        raise InvalidError(f"the cache sent a {NAMES[kind]} of {length} bytes", code=CORRUPT)
    return None if len(data) - at < length else (version, kind, session, length)
