"""Prints the project's figures, each with the command that made it and its goal.

    make bench                       all
    make bench ONLY=start,memory     some

Runs a whole installation in a temporary directory on free ports of loopback and stops it again.
"""

from __future__ import annotations

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

from benchmarks import wire
from tests.system.rig import EXAMPLES, Installation, Load, commit, git, installation, until


def show(name: str, value: str, goal: str, ok: bool, command: str) -> None:
    print(f"{name:<58} {value:>16}   goal {goal:<14} {'met' if ok else 'MISSED'}\n    {command}", flush=True)


def deploy_seconds(havre: Installation, folder: Path, host: str) -> float:
    """Seconds on the platform's side: from the push's receipt to the first 200 of the new version."""
    havre.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder, check=False)
    sha = git(folder, "rev-parse", "HEAD")
    until(lambda: state(havre, folder, sha) in ("OK", "FAIL"), what="the deployment ends", limit_s=300)
    row = next(each for each in activity(havre, folder) if each["commit"] == sha)
    assert row["state"] == "OK", havre.clever("logs", "--since", "10m", "--until", "0s", cwd=folder).stdout[-2000:]
    assert havre.get(host)[0] == 200
    return took(havre, row["uuid"])


def activity(havre: Installation, folder: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = havre.clever_json("activity", cwd=folder)
    return found


def state(havre: Installation, folder: Path, sha: str) -> str:
    rows = [each for each in activity(havre, folder) if each["commit"] == sha]
    return rows[-1]["state"] if rows else ""


def took(havre: Installation, deployment: str) -> float:
    """What the platform's own clock says: row written by the push until the switch to a healthy instance."""
    import sqlite3

    with sqlite3.connect(havre.data / "havre.db") as conn:
        query = """select s.ended_at - o.created_at from op o join op_step s on s.op_id = o.id
                   where s.name = 'switch' and o.args like ?"""
        return float(conn.execute(query, (f"%{deployment}%",)).fetchone()[0]) / 1000


def bench_push(havre: Installation) -> None:
    folder = havre.new_repository("cached")
    havre.clever("create", "-t", "node", "cached", cwd=folder)
    deploy_seconds(havre, folder, "cached.havre.localhost")
    times = []
    for number in range(5):
        commit(folder, f"again {number}")
        times.append(deploy_seconds(havre, folder, "cached.havre.localhost"))
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
    value = deploy_seconds(havre, folder, "vinext.havre.localhost")
    show("push -> first 200, cold vinext + Bun", f"{value:.2f} s", "<= 20 s", value <= 20, "make bench ONLY=vinext")


def bench_start(havre: Installation) -> None:
    """Start of an isolated process until it has answered, against the bare process, in turn."""
    script = Path(__file__).with_name("start.py")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=300)
    found = json.loads(done.stdout.splitlines()[-1])
    bar = 1.2 * found["bare_s"] + 0.05
    value = f"{found['isolated_s'] / found['bare_s']:.2f}x (+{(found['isolated_s'] - found['bare_s']) * 1000:.0f} ms)"
    show(
        "start of an isolated app / bare process",
        value,
        "<= 1.2x + 50 ms",
        found["isolated_s"] <= bar,
        f"python {script.name}",
    )


def bench_deploys(havre: Installation) -> None:
    folder = havre.new_repository("loaded")
    havre.clever("create", "-t", "node", "loaded", cwd=folder)
    deploy_seconds(havre, folder, "loaded.havre.localhost")
    with Load(havre, "loaded.havre.localhost").running() as load:
        for number in range(30):
            commit(folder, f"again {number}")
            deploy_seconds(havre, folder, "loaded.havre.localhost")
    value = f"{len(load.lost)} of {load.answered}"
    show("requests lost in 30 deploys under keep-alive load", value, "0", not load.lost, "make bench ONLY=deploys")


def bench_memory(havre: Installation) -> None:
    run = havre.status()
    pids = [run["pid"], *children_named("caddy", havre)]
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


def children_named(name: str, havre: Installation) -> list[int]:
    return [pid for pid in havre.processes() if Path(f"/proc/{pid}/comm").read_text().strip() == name]


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


BENCHES: dict[str, Callable[[Installation], None]] = {
    "memory": bench_memory,
    "start": bench_start,
    "stacks": bench_stacks,
    "signed": bench_signed,
    "streams": bench_streams,
    "summary": bench_summary,
    "push": bench_push,
    "vinext": bench_vinext,
    "deploys": bench_deploys,
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
