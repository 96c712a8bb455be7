"""Who holds TCP connections to a port of this machine, as its kernel tells (sock_diag(7)): nobody is asked or slowed.

No privilege is needed. One question costs a walk over the kernel's table, about a millisecond, and what it answers for
each connection of that port alone.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from havre.base.errors import UnavailableError

ANSWER_S = 5.0
PIECE = 1 << 18
NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY = 4, 20
REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
ERROR, DONE = 2, 3
ESTABLISHED = 1 << 1
WANTS_INFO, INFO = 1 << 1, 2  # INET_DIAG_INFO, as a question and as an attribute
HEAD = struct.Struct("=IHHII")  # struct nlmsghdr
QUESTION = struct.Struct("=BBBxI2s2s16s16sI8s")  # struct inet_diag_req_v2
MESSAGE_BYTES = 72  # struct inet_diag_msg
LAST_SENT = 44  # of struct tcp_info: milliseconds since we last sent data


@dataclass(frozen=True, slots=True)
class Connection:
    """One that is established. peer: its other end's address. silent_ms: how long our end has sent nothing."""

    peer: str
    silent_ms: int


def connections(port: int, family: socket.AddressFamily) -> tuple[Connection, ...]:
    """Those that others have made to `port`. Raises UnavailableError where the kernel does not tell."""
    asked = QUESTION.pack(
        family, socket.IPPROTO_TCP, WANTS_INFO, ESTABLISHED, port.to_bytes(2, "big"), b"", b"", b"", 0, b"\xff" * 8
    )
    found: list[Connection] = []
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
            kernel.settimeout(ANSWER_S)
            kernel.send(HEAD.pack(HEAD.size + len(asked), SOCK_DIAG_BY_FAMILY, REQUEST_DUMP, 1, 0) + asked)
            while True:
                answer = kernel.recv(PIECE)
                for kind, message in _messages(answer):
                    if kind == ERROR:
                        number = -int.from_bytes(message[:4], "little", signed=True)
                        raise OSError(number, "sock_diag")
                    if kind == DONE:
                        return tuple(found)
                    found += _connection(message, family)
    except OSError as cause:
        raise UnavailableError("the kernel does not tell who holds connections", program="sock_diag") from cause


def _messages(answer: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + HEAD.size <= len(answer):
        length, kind, *_ = HEAD.unpack_from(answer, at)
        if length < HEAD.size:
            return
        yield kind, answer[at + HEAD.size : at + length]
        at += (length + 3) & ~3


def _connection(message: bytes, family: socket.AddressFamily) -> Iterator[Connection]:
    at = MESSAGE_BYTES
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, at)
        if kind == INFO and length >= 4 + LAST_SENT + 4:
            silent_ms = struct.unpack_from("=I", message, at + 4 + LAST_SENT)[0]
            yield Connection(_address(message[24:40], family), silent_ms)
            return
        at += max(4, (length + 3) & ~3)


def _address(content: bytes, family: socket.AddressFamily) -> str:
    if family == socket.AF_INET:
        return str(ipaddress.IPv4Address(content[:4]))
    address = ipaddress.IPv6Address(content)
    return str(address.ipv4_mapped or address)
