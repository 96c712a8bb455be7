"""A program that becomes another one in a network namespace of its own, where one port is all there is of the world.

What connects to that port on loopback inside is handed through a unix socket to whoever listens there outside. A browser
in it reaches one installation and nobody else, whatever a page asks for; and addresses of the machine that come and go
(each app has some) do not break its connections off, as they do for a browser that shares the machine's network.

    cell.py SOCKET PORT PROGRAM ARGUMENTS…
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
import threading

NEW_USER, NEW_NET = 0x10000000, 0x40000000
SET_FLAGS, UP_AND_RUNNING = 0x8914, 0x41
DIE_WITH_PARENT = 1


def relay(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until both have ended."""

    def carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65_536):
                target.sendall(chunk)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=carry, args=(other, one), daemon=True)
    back.start()
    carry(one, other)
    back.join()
    one.close()
    other.close()


def enter() -> None:
    """A fresh network namespace with loopback up. Raises OSError where this machine allows none."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(NEW_NET | (NEW_USER if user else 0)) != 0:
        raise OSError(ctypes.get_errno(), "no network namespace")
    if user:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        fcntl.ioctl(asking, SET_FLAGS, struct.pack("16sh", b"lo", UP_AND_RUNNING) + bytes(14))


def serve(path: str, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listening:
        while True:
            inside, _ = listening.accept()
            outside = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            outside.connect(path)
            threading.Thread(target=relay, args=(inside, outside), daemon=True).start()


def main(path: str, port: str, *program: str) -> None:
    enter()
    parent = os.getpid()
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() == parent:
            with contextlib.suppress(OSError):
                for fd in (3, 4):  # the pipes of who drives the program
                    os.close(fd)
            serve(path, int(port))
        os._exit(0)
    os.execv(program[0], program)


if __name__ == "__main__":
    main(*sys.argv[1:])
