"""The network namespace of one unit, which its monitor lives in, and pasta where that is the way out.

Part of the monitor (standard library only). Pathnames of sockets are no part of a network namespace, so the monitor
inside is reached, and reaches, as before.
"""

from __future__ import annotations

import _signal
import _socket
import ctypes
import os
import sys
import time

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_PDEATHSIG = 1
SIGKILL, SIGPIPE, SIGTERM = 9, 13, 15
ROUTE_S = 5.0


def check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def enter_namespaces(netns_fd, is_root):
    """The network that was made for us, else one with nothing but a loopback; as an ordinary user inside a user
    namespace of our own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if netns_fd is not None:
        check(libc.setns(netns_fd, CLONE_NEWNET), "enter network namespace")
        os.close(netns_fd)
        return
    uid, gid = os.getuid(), os.getgid()
    check(libc.unshare(CLONE_NEWNET if is_root else CLONE_NEWUSER | CLONE_NEWNET), "unshare namespaces")
    if not is_root:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    import fcntl

    probe = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    flags = (0x1 | 0x40).to_bytes(2, sys.byteorder)  # IFF_UP, IFF_RUNNING
    fcntl.ioctl(probe.fileno(), 0x8914, b"lo".ljust(16, b"\0") + flags.ljust(24, b"\0"))  # SIOCSIFFLAGS, struct ifreq
    probe.close()


def fork_pasta(argv):
    """As an ordinary user: a child that stays outside and becomes pasta when it is told of our namespaces.

    Returns the descriptor by whose closing it is told.
    """
    waiting, telling = os.pipe()
    monitor = os.getpid()
    if os.fork():
        os.close(waiting)
        return telling
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
        os.close(telling)
        os.setsid()
        os.read(waiting, 1)
        for number in (SIGPIPE, SIGTERM):
            _signal.signal(number, _signal.SIG_DFL)  # pasta refuses to start with SIGPIPE ignored
        owned = ["--userns", f"/proc/{monitor}/ns/user", "--netns", f"/proc/{monitor}/ns/net"]
        os.execve(argv[0], [*argv, *owned], {"PATH": "/usr/bin:/bin"})
    finally:
        os._exit(125)


def wait_for_route():
    """Return once our network has a default route, or when none comes."""
    give_up = time.monotonic() + ROUTE_S
    while time.monotonic() < give_up:
        with open("/proc/self/net/route") as file:
            if any(line.split()[1] == "00000000" for line in file.readlines()[1:]):
                return
        time.sleep(0.005)
    print("pasta: no route came", file=sys.stderr, flush=True)
