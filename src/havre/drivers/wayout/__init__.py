"""The way out of a sandbox to the network.

Today one kind for everybody: an egress proxy (see `proxy.py`), named to programs by `HTTP_PROXY` and its like,
without a privilege and without a route to the host. Programs that ignore proxies cannot leave; `havre doctor` says so.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from havre.drivers.bwrap import identity

PROXY_URL = "http://127.0.0.1:3128"


@dataclass(frozen=True, slots=True)
class WayOut:
    """`kind` and what follows from it for an app."""

    kind: str
    why: str


def probe_way_out() -> WayOut:
    return WayOut(
        "proxy", "apps and builds leave through an HTTP(S) proxy; programs must honour HTTP_PROXY/HTTPS_PROXY"
    )


def environment() -> dict[str, str]:
    """What tells the programs in a sandbox about the proxy."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    local = {"NO_PROXY": "localhost,127.0.0.1,::1", "no_proxy": "localhost,127.0.0.1,::1"}
    return {name: PROXY_URL for name in names} | local | {"NODE_USE_ENV_PROXY": "1"}


def ensure_proxy(socket_path: Path, record: Path) -> identity.Identity:
    """Start the proxy, or find the one that runs. `record` remembers which process it is."""
    known = _known(record)
    if known is not None and identity.is_alive(known) and socket_path.exists():
        return known
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).with_name("proxy.py")), str(socket_path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={"SSL_CERT_DIR": "/etc/ssl/certs"},
        cwd="/",
    )
    found = identity.of_pid(process.pid)
    fresh = record.with_suffix(".new")
    fresh.write_text(f"{found.pid} {found.start_time} {found.boot_id}\n")
    fresh.rename(record)
    return found


def stop_proxy(record: Path) -> None:
    """End the proxy, if it runs."""
    known = _known(record)
    fd = identity.open_pidfd(known) if known is not None else None
    if fd is not None:
        import signal

        signal.pidfd_send_signal(fd, signal.SIGKILL)
        os.close(fd)
    record.unlink(missing_ok=True)


def _known(record: Path) -> identity.Identity | None:
    try:
        pid, start, boot = record.read_text().split()
    except (OSError, ValueError):
        return None
    return identity.Identity(int(pid), int(start), boot)
