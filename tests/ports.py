"""Ports of loopback for whatever a trial starts: nobody listens on them, and nobody else is given them.

They lie below the ports that the kernel gives to outgoing connections and to whoever binds port 0 (from 32768 on), and
each worker of a run has a range of its own, as has a run without workers. So what was given stays free until the program
that it is for binds it, and a port comes again only after all others of its range. Runs beside each other on one machine
begin at different places.
"""

from __future__ import annotations

import itertools
import os
import socket

FIRST, BEHIND = 20_000, 32_700
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw-1")[2:])
RANGES = max(9, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")) + 1)
WIDTH = (BEHIND - FIRST) // RANGES
START = FIRST + (WORKER + 1) * WIDTH
_PORTS = itertools.cycle(range(START, START + WIDTH))
for _ in range(os.getpid() * 97 % WIDTH):
    next(_PORTS)


def free_ports(count: int) -> list[int]:
    """So many ports, free for TCP and UDP in both families."""
    return list(itertools.islice(filter(_is_free, _PORTS), count))


def free_row(count: int) -> tuple[int, int]:
    """The first and the last of so many free ports that follow each other."""
    (first,) = (last,) = free_ports(1)
    while last - first < count - 1:
        (port,) = free_ports(1)
        first, last = first if port == last + 1 else port, port
    return first, last


def _is_free(port: int) -> bool:
    try:
        for family, host in _ADDRESSES:
            socket.create_server((host, port), family=family).close()
            with socket.socket(family, socket.SOCK_DGRAM) as datagrams:
                datagrams.bind((host, port))
    except OSError:
        return False
    return True


def _addresses() -> list[tuple[socket.AddressFamily, str]]:
    found = [(socket.AF_INET, "127.0.0.1")]
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:  # this machine has no such address
        return found
    return [*found, (socket.AF_INET6, "::1")]


_ADDRESSES = _addresses()
