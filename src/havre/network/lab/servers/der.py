"""DER, as far as certificates, manifests and ROAs need it: values out, bytes in one form only (X.690, 10). Pure."""

from __future__ import annotations

import datetime


def tlv(tag: int, content: bytes) -> bytes:
    """Tag, length, content."""
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def seq(*parts: bytes) -> bytes:
    return tlv(0x30, b"".join(parts))


def set_of(*parts: bytes) -> bytes:
    return tlv(0x31, b"".join(sorted(parts)))


def explicit(number: int, content: bytes) -> bytes:
    """`[number] EXPLICIT`, or IMPLICIT over a constructed content without its own tag."""
    return tlv(0xA0 | number, content)


def primitive(number: int, content: bytes) -> bytes:
    """`[number] IMPLICIT` over a primitive type."""
    return tlv(0x80 | number, content)


def integer(value: int) -> bytes:
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def boolean(value: bool) -> bytes:
    return tlv(0x01, b"\xff" if value else b"\x00")


def null() -> bytes:
    return b"\x05\x00"


def octets(content: bytes) -> bytes:
    return tlv(0x04, content)


def bits(content: bytes, *, unused: int = 0) -> bytes:
    return tlv(0x03, bytes([unused]) + content)


def oid(dotted: str) -> bytes:
    first, second, *rest = (int(each) for each in dotted.split("."))
    content = bytearray([40 * first + second])
    for number in rest:
        groups = [number & 127]
        while number := number >> 7:
            groups.append(number & 127 | 128)
        content += bytes(reversed(groups))
    return tlv(0x06, bytes(content))


def printable(text: str) -> bytes:
    return tlv(0x13, text.encode("ascii"))


def ia5(text: str) -> bytes:
    return tlv(0x16, text.encode("ascii"))


def utc(moment: datetime.datetime) -> bytes:
    """UTCTime, as certificates have it until 2049 (RFC 5280, 4.1.2.5)."""
    return tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())


def generalized(moment: datetime.datetime) -> bytes:
    return tlv(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())
