"""The way out of a sandbox to the network, of three kinds.

`veth`: as root, a pair and masquerading (`veth.py`). `pasta`: as an ordinary user, where the program is and
/dev/net/tun can be opened. `proxy`: otherwise, an egress proxy (`proxy.py`) named to programs by `HTTP_PROXY` and its
like; those that ignore it cannot leave. None leads to the services of this machine or to another sandbox.
"""

from __future__ import annotations

import ipaddress
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from havre.drivers import identity
from havre.drivers.disk.whole import write_whole
from havre.drivers.wayout import veth

PROXY_UID = 65534  # "nobody"
PROXY_START_S = 10.0
PROXY_STOP_S = 5.0
PROXY_URL = "http://127.0.0.1:3128"
PASTA_DNS = "169.254.53.53"  # stands for the host's resolver, wherever that listens
_STARTING = threading.Lock()
_RESOLVERS = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")


@dataclass(frozen=True, slots=True)
class WayOut:
    """`kind`, what follows from it for an app, and the name servers that programs ask (none: the proxy looks up)."""

    kind: Literal["veth", "pasta", "proxy"]
    why: str
    resolvers: tuple[str, ...] = ()

    @property
    def resolv_conf(self) -> str:
        return "".join(f"nameserver {each}\n" for each in self.resolvers)


def probe() -> WayOut:
    """The best kind that this machine and this user have. Changes nothing."""
    if os.getuid() == 0:
        return _probe_veth()
    program, may_open = pasta(), os.access("/dev/net/tun", os.R_OK | os.W_OK)
    if program is not None and may_open:
        return WayOut("pasta", "apps and builds have a network of their own, through pasta", (PASTA_DNS,))
    lacking = "pasta is not installed (apt install passt)" if program is None else "/dev/net/tun cannot be opened"
    return by_proxy(lacking)


def by_proxy(reason: str) -> WayOut:
    """The last resort, and why."""
    return WayOut("proxy", f"{reason}: apps and builds leave through an HTTP(S) proxy, which programs must honour")


def _probe_veth() -> WayOut:
    if veth.nft() is None:
        return by_proxy("nft is not installed (apt install nftables)")
    found = resolvers([Path(each) for each in _RESOLVERS])
    if not found:
        return by_proxy("this machine's resolver listens on loopback alone, where sandboxes do not come")
    return WayOut("veth", "apps and builds have a network of their own, masqueraded (IPv4)", found)


def resolvers(files: Sequence[Path]) -> tuple[str, ...]:
    """The name servers of the first file that names one beyond this machine's loopback (resolv.conf(5))."""
    for file in files:
        try:
            words = [line.split() for line in file.read_text().splitlines()]
        except OSError:
            continue
        named = [each[1] for each in words if len(each) > 1 and each[0] == "nameserver"]
        found = tuple(each for each in named if _is_beyond(each))
        if found:
            return found
    return ()


def _is_beyond(server: str) -> bool:
    try:
        address = ipaddress.ip_address(server.partition("%")[0])
    except ValueError:
        return False
    return address.version == 4 and not address.is_loopback


def pasta() -> str | None:
    """The program, if the machine has it."""
    return shutil.which("pasta")


def pasta_arguments(program: str) -> list[str]:
    """How it is run: nothing of the host's loopback is mapped in or out (the monitor adds whose network it is)."""
    nothing = ["-t", "none", "-u", "none", "-T", "none", "-U", "none"]
    return [program, "--foreground", "--quiet", "--ipv4-only", "--config-net", "--no-map-gw", *nothing,
            "--dns-forward", PASTA_DNS]  # fmt: skip


def environment(way: WayOut) -> dict[str, str]:
    """What tells the programs in a sandbox about the proxy, when it is the way out."""
    if way.kind != "proxy":
        return {}
    names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    local = {"NO_PROXY": "localhost,127.0.0.1,::1", "no_proxy": "localhost,127.0.0.1,::1"}
    return {name: PROXY_URL for name in names} | local | {"NODE_USE_ENV_PROXY": "1"}


def ensure_proxy(socket_path: Path, record: Path, *, sandboxes: ipaddress.IPv4Network) -> identity.Identity:
    """Start the proxy, or find the one that runs. `record` remembers which process it is.

    One that has just been started may not listen yet; another beside it would be nobody's.
    """
    with _STARTING:
        known = _known(record)
        if known is not None and _listens(known, socket_path):
            return known
        stop_proxy(record)
        return _start_proxy(socket_path, record, sandboxes)


def _listens(known: identity.Identity, socket_path: Path) -> bool:
    """Whether it is alive and has its socket, or has it soon."""
    deadline = time.monotonic() + PROXY_START_S
    while identity.is_alive(known):
        if socket_path.exists():
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return False


def _start_proxy(socket_path: Path, record: Path, sandboxes: ipaddress.IPv4Network) -> identity.Identity:
    program = str(Path(__file__).with_name("proxy.py"))
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", program, str(socket_path), str(PROXY_UID), str(sandboxes)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={"SSL_CERT_DIR": "/etc/ssl/certs"},
        cwd="/",
    )
    found = identity.of_pid(process.pid)
    write_whole(record, f"{found.pid} {found.start_time} {found.boot_id}\n")
    return found


def stop_proxy(record: Path) -> None:
    """End the proxy, if it runs, and wait until it has ended: its socket's name is the next one's."""
    known = _known(record)
    fd = identity.open_pidfd(known) if known is not None else None
    if fd is not None:
        try:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            select.select([fd], [], [], PROXY_STOP_S)
        except ProcessLookupError:
            pass
        finally:
            os.close(fd)
    record.unlink(missing_ok=True)


def _known(record: Path) -> identity.Identity | None:
    try:
        pid, start, boot = record.read_text().split()
    except (OSError, ValueError):
        return None
    return identity.Identity(int(pid), int(start), boot)
