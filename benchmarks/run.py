"""Prints the project's figures, each with the command that made it and its goal.

    make bench                       all
    make bench ONLY=start,memory     some

Runs a whole installation in a temporary directory on free ports of loopback and stops it again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import console, deploys, edge, irr, many, network, rtr, wire
from tests.room.runtime_suite import ROWS
from tests.system import kinds, test_system_long_load
from tests.system.rig import EXAMPLES, Installation, Load, commit, git, installation, until


def show(name: str, value: str, goal: str, ok: bool, command: str) -> None:
    print(f"{name:<58} {value:>16}   goal {goal:<14} {'met' if ok else 'MISSED'}\n    {command}", flush=True)


def bench_push(havre: Installation) -> None:
    folder = havre.new_repository("cached")
    havre.clever("create", "-t", "node", "cached", cwd=folder)
    deploys.deploy_seconds(havre, folder, "cached.havre.localhost")
    times = []
    for number in range(5):
        commit(folder, f"again {number}")
        times.append(deploys.deploy_seconds(havre, folder, "cached.havre.localhost"))
    value = statistics.median(times)
    show(
        "push -> first 200, cached node app (median of 5)",
        f"{value:.2f} s",
        "<= 5 s",
        value <= 5,
        "make bench ONLY=push",
    )


def bench_vinext(havre: Installation) -> None:
    folder = havre.base / "vinext"
    shutil.copytree(EXAMPLES / "vinext", folder, ignore=shutil.ignore_patterns("node_modules", "dist"))
    git(folder, "init", "-q", "-b", "master")
    commit(folder, "first")
    havre.clever("create", "-t", "node", "vinext", cwd=folder)
    value = deploys.deploy_seconds(havre, folder, "vinext.havre.localhost")
    show("push -> first 200, cold vinext + Bun", f"{value:.2f} s", "<= 20 s", value <= 20, "make bench ONLY=vinext")


def bench_start(havre: Installation) -> None:
    """Start of an isolated process until it has answered, against the bare process, in turn, for each kind."""
    script = Path(__file__).with_name("start.py")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=900)
    for kind, found in json.loads(done.stdout.splitlines()[-1]).items():
        isolated, bare = found["isolated_s"], found["bare_s"]
        value = f"{isolated / bare:.2f}x (+{(isolated - bare) * 1000:.0f} ms)"
        name, is_met = f"start of an isolated app / bare process, {kind}", isolated <= 1.2 * bare + 0.05
        show(name, value, "<= 1.2x + 50 ms", is_met, f"python {script.name} {kind}")


def bench_idle(havre: Installation) -> None:
    """300 idle instances of a small app: memory over the bare process, and whether the last starts as the first."""
    script = Path(__file__).with_name("idle.py")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=900)
    found = json.loads(done.stdout.splitlines()[-1])
    over = found["isolated_mb"] - found["bare_mb"]
    name = f"memory of an idle instance over the bare process, {found['instances']:.0f} of them"
    show(name, f"{over:.1f} MB", "<= 5 MB", over <= 5, f"python {script.name}")
    slower = found["last"] / found["first"]
    name = "start of the last of them / of the first, over bare ones"
    show(name, f"{slower:.2f}x", "<= 1.5x", slower <= 1.5, f"python {script.name}")


def bench_power(havre: Installation) -> None:
    """Everything of a machine with 100 apps is gone; it is switched on again."""
    first, every = many.power_on_s(havre, 100)
    value = f"{every:.1f} s ({first:.1f} s)"
    show("power-on to all of 100 apps answering (the first)", value, "<= 60 s", every <= 60, "make bench ONLY=power")


def bench_load(_: Installation) -> None:
    """100 deployments under keep-alive and websocket load, on an installation with short patience for drains."""
    with installation(apps=test_system_long_load.APPS) as own:
        own.up()
        test_system_long_load.open_echo(own)
        seen = test_system_long_load.deploy_on(own, 100)
    value = f"{len(seen.lost)} of {seen.answered}, {len(seen.cut)} of {seen.said}"
    show("lost requests, cut websocket messages in 100 deploys", value, "0, 0", not seen.lost and not seen.cut,
         "make bench ONLY=load")  # fmt: skip
    show("on the disk afterwards: releases, logs, caches, git", f"{seen.mib:.0f} MiB", "<= 100 MiB", seen.mib <= 100,
         "make bench ONLY=load")  # fmt: skip


def bench_deploys(havre: Installation) -> None:
    folder = havre.new_repository("loaded")
    havre.clever("create", "-t", "node", "loaded", cwd=folder)
    deploys.deploy_seconds(havre, folder, "loaded.havre.localhost")
    with Load(havre, "loaded.havre.localhost").running() as load:
        for number in range(30):
            commit(folder, f"again {number}")
            deploys.deploy_seconds(havre, folder, "loaded.havre.localhost")
    value = f"{len(load.lost)} of {load.answered}"
    show("requests lost in 30 deploys under keep-alive load", value, "0", not load.lost, "make bench ONLY=deploys")


def bench_routes(_: Installation) -> None:
    median, worst = edge.route_change_ms()
    show(
        "a route changes, among 10,000 hosts (median of 40)",
        f"{median:.1f} ms ({worst:.0f})",
        "<= 15 ms",
        median <= 15,
        "make bench ONLY=routes",
    )


def bench_edge(havre: Installation) -> None:
    """The same app through the edge and through a bare Caddy, in turn."""
    folder = havre.new_repository("proxied")
    havre.clever("create", "-t", "node", "proxied", cwd=folder)
    deploys.deploy_seconds(havre, folder, "proxied.havre.localhost")
    ours, bare, logging = edge.beside_bare_caddy(havre, "proxied.havre.localhost")
    for name, other, goal in (("bare Caddy", bare, 0.95), ("a Caddy that keeps an access log", logging, None)):
        ratio = statistics.median(one.per_s / two.per_s for one, two in zip(ours, other, strict=True))
        slow = statistics.median(one.p99_ms / two.p99_ms for one, two in zip(ours, other, strict=True))
        value, met = f"{ratio:.2f}x, p99 {slow:.2f}x", goal is None or (ratio >= goal and slow <= 1 / goal)
        show(f"requests/s through the edge / {name}", value, f">= {goal}x" if goal else "", met, "make bench ONLY=edge")


def bench_memory(havre: Installation) -> None:
    """Once what the start needed has ended: the notary is idle for 15 s first."""
    run = havre.status()
    until(lambda: not has_notary(run["pid"]), what="the notary ends when nobody asks")
    kept = [
        json.loads((havre.data / "edge" / name).read_text())
        for name in ("keeper.pid", "caddy.json", "tcpgate.json")
        if (havre.data / "edge" / name).exists()
    ]
    pids = [run["pid"], *(each["identity"][0] for each in kept)]
    total = sum(pss_kib(pid) for pid in pids) / 1024
    show(
        "idle memory of control plane + edge (PSS)",
        f"{total:.0f} MB",
        "<= 150 MB",
        total <= 150,
        "make bench ONLY=memory",
    )


def bench_stacks(havre: Installation) -> None:
    """The stacks that every app needs: out of packages that are fetched, and out of those that are unpacked."""
    from havre.apps.stacks import BASE, BUILD

    for what, names, goal_s in (("app", BASE, 10), ("build", (*BASE, *BUILD), 40)):
        took, again, mib = stack_seconds(havre.base / f"stacks of the {what}", names)
        name = f"stack of the {what}, {mib:.0f} MiB: packages fetched, unpacked"
        show(name, f"{took:.1f} s, {again:.1f} s", f"<= {goal_s} s", took <= goal_s, "make bench ONLY=stacks")


def stack_seconds(root: Path, names: tuple[str, ...]) -> tuple[float, float, float]:
    """Seconds from the fetched packages on, seconds from the unpacked ones on, MiB."""
    from havre.drivers.debian import Stacks

    made = Stacks(root, dict(os.environ), now=lambda: time.time_ns() // 1_000_000)
    told: dict[str, float] = {}

    def tell(line: str) -> None:
        told.setdefault(line, time.monotonic())

    stack = anyio.run(lambda: made.obtain(names, tell=tell))
    took = time.monotonic() - next(at for line, at in told.items() if line.startswith("stack: unpacking"))
    shutil.rmtree(stack.tree.parent)
    began = time.monotonic()
    anyio.run(made.obtain, names)
    return took, time.monotonic() - began, stack.bytes / 1024**2


def bench_restart(havre: Installation) -> None:
    """A restart of what was built: the same commit, the same settings."""
    for kind, files in deploys.KINDS.items():
        name = f"again-{kind}"
        folder = havre.new_repository(name, files)
        havre.clever("create", "-t", "node" if kind == "bun" else kind, name, cwd=folder)
        for variable, value in deploys.KIND_ENV.get(kind, {}).items():
            havre.clever("env", "set", variable, value, cwd=folder)
        deploys.deploy_seconds(havre, folder, f"{name}.havre.localhost")
        value = statistics.median(deploys.restart_seconds(havre, folder) for _ in range(3))
        show(f"restart -> first 200, {kind}, from cache (median of 3)", f"{value:.2f} s", "<= 2 s", value <= 2,
             "make bench ONLY=restart")  # fmt: skip


AGAIN_S = 2.0
LIGHT = ("node-hello", "bun-hono", "python-hello gunicorn", "static-site", "php-slim fpm", "ruby-sinatra",
         "jar-hello 17", "go-chi")  # fmt: skip


def bench_kinds(havre: Installation) -> None:
    """An example of each kind from its first push, and the same commit again. `make prove` does so with all of them."""
    for row in (each for each in ROWS if str(each) in LIGHT):
        proof = kinds.prove(havre, row)
        value = f"{proof.cold_s:.1f} s, {proof.cached_s:.1f} s"
        show(
            f"deploy of {row}: first, again", value, "<= 2 s again", proof.cached_s <= AGAIN_S, "make bench ONLY=kinds"
        )


def bench_archive(havre: Installation) -> None:
    """A build of 50,000 small files: what its restart costs as a directory that is kept, as an archive, as a copy."""
    folder = havre.new_repository("many")
    havre.clever("create", "-t", "node", "many", cwd=folder)
    havre.clever("env", "set", "CC_POST_BUILD_HOOK", f"node -e '{deploys.MANY}'", cwd=folder)
    deploys.deploy_seconds(havre, folder, "many.havre.localhost")
    [release] = (havre.data / "releases").glob("app_*/*/many")
    place = havre.data / "bench"
    place.mkdir()
    archive, copy = place / "archive.tar.zst", ["cp", "-a", str(release), str(place / "copy")]
    packed = deploys.timed(
        ["tar", "-I", "zstd -1" if shutil.which("zstd") else "gzip -1", "-cf", str(archive), str(release)]
    )
    (place / "restored").mkdir()
    unpacked = deploys.timed(["tar", "-xf", str(archive), "-C", str(place / "restored")])
    copied, kept = deploys.timed(copy), deploys.restart_seconds(havre, folder)
    shutil.rmtree(place)
    show("50,000 files: restart from the kept release / cp -a of it", f"{kept:.2f} s / {copied:.2f} s", "<= 1",
         kept <= copied, "make bench ONLY=archive")  # fmt: skip
    show("50,000 files: archived + restored (what we do not do)", f"{packed:.2f} + {unpacked:.2f} s", "slower",
         packed + unpacked >= kept, "make bench ONLY=archive")  # fmt: skip


def has_notary(pid: int) -> bool:
    """Whether that control plane has one at work."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and "havre.drivers.x509.program" in (process / "cmdline").read_text():
                return True
    return False


def pss_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("Pss:")))


def bench_summary(havre: Installation) -> None:
    value, size = wire.summary_ms(havre)
    name = f"GET /v2/summary with 1,000 apps, {size / 1024:.0f} KiB (p50)"
    show(name, f"{value:.1f} ms", "<= 20 ms", value <= 20, "make bench ONLY=summary")


def bench_signed(havre: Installation) -> None:
    value, bare = wire.signed_ms(havre)
    shown = f"{value:.1f} ms ({bare:.1f} ms)"
    show("a small signed GET, p50 (a bare route)", shown, "<= 3 ms", value <= 3, "make bench ONLY=signed")


def bench_streams(havre: Installation) -> None:
    value = wire.streams_mb(havre)
    name = f"memory of {wire.STREAMS} log streams and {wire.STREAMS} event sockets"
    show(name, f"{value:.0f} MB", "<= 60 MB", value <= 60, "make bench ONLY=streams")


def bench_console(havre: Installation) -> None:
    command = "make bench ONLY=console"
    value = console.build_seconds()
    show("the console's build", f"{value:.1f} s", "<= 10 s", value <= 10, command)
    value = console.open_pages_mb(havre)
    show(f"memory of {console.OPEN_PAGES} open pages of logs", f"{value:.1f} MB", "<= 10 MB", value <= 10, command)
    weights, ready = console.pages(havre)
    for name, weight in weights.items():
        limit = 150 if name == "overview" else 110
        show(f"first visit of {name}, gzip", f"{weight:.0f} kB", f"<= {limit} kB", weight <= limit, command)
    show(f"an overview among {console.APPS} apps is there", f"{ready:.2f} s", "<= 1.0 s", ready <= 1, command)


def bench_rtr(_: Installation) -> None:
    """600,000 VRPs by RTR, beside rtrlib's client on the same bytes where it is installed."""
    found = rtr.measure()
    own, peer = found["ours"], found["peer"]
    assert own is not None
    beside = f" (rtrlib {peer['seconds']:.1f} s)" if peer else ""
    command = "make bench ONLY=rtr"
    took, first_mb, again_mb = own["seconds"], own["first_mb"], own["again_mb"]
    show("600,000 VRPs by RTR", f"{took:.1f} s{beside}", "<= 5 s", took <= 5, command)
    value = f"{first_mb:.0f} MB ({again_mb:.0f} MB)"
    show(
        "memory of that process (while a second answer comes)",
        value,
        "<= 200 MB",
        max(first_mb, again_mb) <= 200,
        command,
    )


def bench_filters(_: Installation) -> None:
    """A filter of 55,000 prefixes made from a registry, beside bgpq4 at the same server where it is installed."""
    found = irr.measure()
    took, peer = found["ours_s"], found.get("bgpq4_s")
    value = f"{took:.2f} s" + (f", {took / peer:.1f}x" if peer else "")
    show("55,000 prefixes of 4,000 origins / bgpq4", value, "<= 5 s", took <= 5, "make bench ONLY=filters")


def bench_plan(_: Installation) -> None:
    took = network.measure()
    show(
        "plan of 4 upstreams x 3 sites, 3 filters of 50,000",
        f"{took:.2f} s",
        "<= 2 s",
        took <= 2,
        "make bench ONLY=plan",
    )


BENCHES: dict[str, Callable[[Installation], None]] = {
    "memory": bench_memory,
    "start": bench_start,
    "idle": bench_idle,
    "stacks": bench_stacks,
    "signed": bench_signed,
    "streams": bench_streams,
    "console": bench_console,
    "summary": bench_summary,
    "push": bench_push,
    "restart": bench_restart,
    "kinds": bench_kinds,
    "archive": bench_archive,
    "vinext": bench_vinext,
    "deploys": bench_deploys,
    "load": bench_load,
    "power": bench_power,
    "routes": bench_routes,
    "edge": bench_edge,
    "rtr": bench_rtr,
    "filters": bench_filters,
    "plan": bench_plan,
}


def main() -> None:
    wanted = [each for each in (sys.argv[1] if len(sys.argv) > 1 else "").split(",") if each] or list(BENCHES)
    began = time.monotonic()
    with installation() as havre:
        havre.up()
        for name in wanted:
            BENCHES[name](havre)
    print(f"{len(wanted)} figures in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
