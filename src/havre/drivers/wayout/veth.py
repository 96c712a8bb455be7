"""As root: a network for each sandbox, a veth pair into a namespace that leaves through masquerading.

The host side of a pair is `havre<n>`; the n-th pair has the n-th /31 of the sandboxes' prefix, so the kernel's refusal
of a name that is taken is the allocation. Everything that comes from a sandbox is for the world beyond this machine:
not for the machine itself, not for another sandbox, not for link-local addresses. One table of nftables, `inet havre`,
serves all installations of the machine; a pair goes when the last process of its namespace does.
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from havre.base.errors import UnavailableError

PREFIX = "havre"
INSIDE = "eth0"
CLONE_NEWNET = 0x40000000
MOST_TRIES = 4096
TABLE = """
table inet havre
delete table inet havre
table inet havre {
  set sandboxes {
    type ipv4_addr; flags interval; auto-merge
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "havre*" drop
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname "havre*" oifname "havre*" drop
    iifname "havre*" fib saddr . iif oif missing drop
    iifname "havre*" ip daddr @sandboxes drop
    iifname "havre*" ip daddr { 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3 } drop
    oifname "havre*" ct state established,related accept
    oifname "havre*" drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    iifname "havre*" masquerade
  }
}
"""


def nft() -> str | None:
    """The program that sets the rules, if the machine has it."""
    return shutil.which("nft", path=os.defpath + ":/usr/sbin:/sbin")


def ensure_rules(network: ipaddress.IPv4Network) -> None:
    """Put the table in place, whole, in one transaction, unless it is there; `network` is sandboxes' from then on.

    Raises UnavailableError.
    """
    program = nft()
    if program is None:
        raise UnavailableError("nft is not installed (apt install nftables)")
    seen = subprocess.run([program, "list", "table", "inet", "havre"], capture_output=True, text=True, env={})
    is_whole = seen.returncode == 0 and seen.stdout.count("chain ") == 3 and "sandboxes" in seen.stdout
    rules = ("" if is_whole else TABLE) + f"add element inet havre sandboxes {{ {network} }}\n"
    made = subprocess.run([program, "-f", "-"], input=rules, capture_output=True, text=True, env={})
    if made.returncode != 0:
        raise UnavailableError("the rules of the sandboxes' network were refused", nft=made.stderr.strip()[-300:])
    for interface in _uplinks():
        _forward(interface)


def attach(network: ipaddress.IPv4Network) -> int:
    """A new network namespace with a way out, as a file descriptor that the caller closes.

    network: the sandboxes' prefix. Blocking; must not run on a thread whose namespace matters to somebody meanwhile.
    Raises UnavailableError when the prefix is used up or the kernel refuses.
    """
    try:
        with _new_namespace() as inner:
            host, guest = _pair(network, inner)
            with _entered(inner):
                _set_up_inside(guest, host)
            return os.dup(inner)
    except OSError as cause:
        raise UnavailableError("a sandbox's network could not be made", reason=str(cause)) from cause


def _uplinks() -> Iterator[str]:
    """The interfaces that have a route, which answers to sandboxes come in by."""
    lines = Path("/proc/net/route").read_text().splitlines()[1:]
    yield from {line.split()[0] for line in lines if not line.startswith((PREFIX, "lo\t"))}


def _forward(interface: str) -> None:
    switch = Path(f"/proc/sys/net/ipv4/conf/{interface}/forwarding")
    try:
        if switch.read_text().strip() != "1":
            switch.write_text("1")
    except OSError as cause:
        raise UnavailableError(f"{interface} may not forward packets", reason=str(cause)) from cause


def _netlink() -> Any:
    from pyroute2 import IPRoute

    return IPRoute()


def _pair(network: ipaddress.IPv4Network, inner: int) -> tuple[str, str]:
    """Make the pair whose far end is in namespace `inner`; returns the addresses on the host and inside."""
    from pyroute2.netlink.exceptions import NetlinkError

    with _netlink() as netlink:
        taken = {name for _, name in socket.if_nameindex()}  # netlink's own answer is taken apart for 1 ms a link
        for number in range(min(MOST_TRIES, network.num_addresses // 2)):
            name = f"{PREFIX}{number}"
            if name in taken:
                continue
            try:
                netlink.link("add", ifname=name, kind="veth", peer={"ifname": INSIDE, "net_ns_fd": inner})
            except NetlinkError as error:
                if error.code == errno.EEXIST:
                    continue
                raise OSError(error.code, str(error)) from error
            host, guest = str(network[2 * number]), str(network[2 * number + 1])
            index = socket.if_nametoindex(name)
            netlink.addr("add", index=index, address=host, prefixlen=31)
            netlink.link("set", index=index, state="up")
            _forward(name)
            return host, guest
    raise OSError(errno.ENOSPC, "no address is left in the sandboxes' prefix")


def _set_up_inside(guest: str, host: str) -> None:
    with _netlink() as netlink:
        for name in ("lo", INSIDE):
            index = socket.if_nametoindex(name)
            if name == INSIDE:
                netlink.addr("add", index=index, address=guest, prefixlen=31)
            netlink.link("set", index=index, state="up")
        netlink.route("add", dst="default", gateway=host)


_LIBC = ctypes.CDLL(None, use_errno=True)


def _setns(fd: int) -> None:
    if _LIBC.setns(fd, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")


@contextmanager
def _new_namespace() -> Iterator[int]:
    """A network namespace that this thread made, without staying in it."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _LIBC.unshare(CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"unshare: {os.strerror(number)}")
        try:
            inner = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            _setns(home)
        try:
            yield inner
        finally:
            os.close(inner)
    finally:
        os.close(home)


@contextmanager
def _entered(inner: int) -> Iterator[None]:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _setns(inner)
        try:
            yield
        finally:
            _setns(home)
    finally:
        os.close(home)
