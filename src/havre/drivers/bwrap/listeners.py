"""The listening sockets of apps: made once, found again in the units that hold them, and how many wait there."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

BACKLOG = 1024
FETCH_S = 10.0
_REQUEST = struct.Struct("=IHHII BBHIIIII")  # struct nlmsghdr, struct unix_diag_req
_SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, _SHOW_RQLEN, _RQLEN = 20, 1, 0x10, 4


def listen(path: Path) -> socket.socket:
    """A new listening socket in the place of whatever stands at `path`."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made.bind(str(fresh))
    made.listen(BACKLOG)
    fresh.rename(path)
    return made


def fetch(control: Path, which: str = "listener") -> socket.socket | None:
    """The socket that the unit with this control socket listens on (`listener`, `handed`); None when it does not
    answer."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(FETCH_S)
            asking.connect(str(control))
            asking.sendall(which.encode() + b"\n")
            _, fds, _, _ = socket.recv_fds(asking, 64, 1)
    except OSError:
        return None
    return socket.socket(fileno=fds[0]) if fds else None


def waiting(listener: socket.socket) -> int:
    """How many connections wait to be accepted (sock_diag(7), UNIX_DIAG_RQLEN); 0 where the kernel does not tell."""
    inode = os.fstat(listener.fileno()).st_ino & 0xFFFFFFFF
    header = (_REQUEST.size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0)
    request = _REQUEST.pack(*header, socket.AF_UNIX, 0, 0, 0xFFFFFFFF, inode, _SHOW_RQLEN, 0xFFFFFFFF, 0xFFFFFFFF)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as diag:  # NETLINK_SOCK_DIAG
            diag.settimeout(1)
            diag.send(request)
            answer = diag.recv(4096)
    except OSError:
        return 0
    kind = struct.unpack_from("=H", answer, 4)[0] if len(answer) >= 32 else 0
    at = 16 + 16  # struct nlmsghdr, struct unix_diag_msg
    while kind == _SOCK_DIAG_BY_FAMILY and at + 4 <= len(answer):
        length, attribute = struct.unpack_from("=HH", answer, at)
        if attribute == _RQLEN:
            return int(struct.unpack_from("=I", answer, at + 4)[0])
        at += (max(4, length) + 3) // 4 * 4
    return 0
