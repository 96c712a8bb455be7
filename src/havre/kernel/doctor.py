"""What this machine can and cannot do, and what follows: `havre doctor`, and the page of the operator."""

from __future__ import annotations

import dataclasses
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from havre.base.errors import HavreError
from havre.drivers import cgroup, debian, toolchains, wayout
from havre.drivers.bwrap import sandbox, seccomp
from havre.kernel.config import Config, Paths

DISK_FREE_MIB = 2048
TRIAL_S = 30.0


@dataclass(frozen=True)
class Finding:
    """`ok`: the machine can; `follows`: what that means for a person."""

    what: str
    ok: bool
    seen: str
    follows: str = ""
    fatal: bool = False


def examine(config: Config, paths: Paths, *, running: bool) -> Iterator[Finding]:
    yield _git()
    yield from _sandbox()
    yield _limits()
    yield _filter()
    way = wayout.probe()
    yield Finding("way out", way.kind != "proxy", way.kind, way.why)
    yield _node()
    for name, port in (("https port", config.edge.https_port), ("http port", config.edge.http_port)):
        yield _port(name, port, config.edge.bind, running=running)
    if config.ssh.port:
        found = _port("ssh port", config.ssh.port, config.ssh.bind or config.edge.bind, running=running)
        yield dataclasses.replace(found, fatal=False, follows="" if found.ok else "no clever ssh: set [ssh] port")
    yield _disk(paths)
    yield _stacks(paths)


def _git() -> Finding:
    found = shutil.which("git")
    return Finding("git", found is not None, found or "not found", "" if found else "install git", fatal=found is None)


def _sandbox() -> Iterator[Finding]:
    try:
        binary = sandbox.binary()
    except HavreError as error:
        yield Finding("bubblewrap", False, error.message, "no app can be started", fatal=True)
        return
    argv = [str(binary), "--unshare-user", "--unshare-pid", "--unshare-net", "--ro-bind", "/", "/", "--", "/bin/true"]
    try:
        made = subprocess.run(argv, capture_output=True, text=True, env={}, timeout=TRIAL_S)
    except subprocess.TimeoutExpired:
        yield Finding("namespaces", False, "no answer", "the sandbox does not start: is the machine well?", fatal=True)
        return
    follows = (
        ""
        if made.returncode == 0
        else "apps cannot be isolated: allow user namespaces (sysctl user.max_user_namespaces)"
    )
    seen = (
        "user, pid, mount, network" if made.returncode == 0 else (made.stderr.strip().splitlines() or ["?"])[-1][:200]
    )
    yield Finding("namespaces", made.returncode == 0, seen, follows, fatal=made.returncode != 0)
    root = os.getuid() == 0
    yield Finding(
        "own users",
        root,
        "a user for each app" if root else "one user for all apps",
        ""
        if root
        else "namespaces alone separate apps, and one user's inotify and pipes are for all of them; start as root",
    )


def _limits() -> Finding:
    """Processes are limited without a group, too: in the user namespace of each unit."""
    found = cgroup.probe()
    missing = [each for each in found.missing if each != "pids"]
    follows = f"no limit for {', '.join(missing)}: run as root, or under systemd with Delegate=yes" if missing else ""
    return Finding("limits", not missing, found.describe(), follows)


def _filter() -> Finding:
    ok = seccomp.program() is not None
    return Finding("system calls", ok, "filtered" if ok else "no filter for this architecture")


def _node() -> Finding:
    try:
        return Finding("node", True, f"{toolchains.node_version()} (our own, whatever the host has)")
    except HavreError as error:
        return Finding("node", False, error.message, "node apps cannot be built", fatal=True)


def _port(name: str, port: int, bind: str, *, running: bool) -> Finding:
    if running:
        return Finding(name, True, f"{port}, ours")
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except PermissionError:
            return Finding(name, False, f"{port} needs root", "choose a port from 1024 on", fatal=True)
        except OSError as error:
            option = "--https-port" if name.startswith("https") else "--http-port"
            return Finding(
                name, False, f"{port}: {error.strerror}", f"free it or take another: havre up {option}", fatal=True
            )
    return Finding(name, True, f"{port} is free")


def _disk(paths: Paths) -> Finding:
    place = next(each for each in (paths.data, *paths.data.parents) if each.exists())
    free = shutil.disk_usage(place).free // 1024**2
    ok = free > DISK_FREE_MIB
    return Finding("disk", ok, f"{free} MiB free at {place}", "" if ok else "builds will fail: free some")


def _stacks(paths: Paths) -> Finding:
    missing = debian.missing()
    if missing:
        return Finding(
            "stacks",
            False,
            f"no {', no '.join(missing)}: apps see the host's own /usr, read-only",
            "kinds of apps whose programs this host lacks are refused: install those, or apt and dpkg",
        )
    made = debian.Stacks(paths.stacks, {}, now=lambda: 0)
    at = made.lists_at()
    lists = datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M") if at else "not fetched yet"
    return Finding("stacks", True, f"{len(made.all())} in {paths.stacks}, lists of packages: {lists}")
