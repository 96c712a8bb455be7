"""Memory of many idle instances of a small app, over the bare process; the last line is JSON.

    python idle.py 300

Instances are started as a deployment does, each is asked once, and all are left alone; then everything of each (its
monitor, its sandbox, the app) is added up, shared pages by their share (PSS). The bare process is the same program with
the same interpreter, as many times, measured the same way. {"instances": …, "isolated_mb": …, "bare_mb": …,
"first": …, "last": …}: megabytes for each instance, and what a start among the first and the last ROUNDS took, as a
ratio of a bare start beside it.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import anyio
import anyio.to_thread
from benchmarks.start import KINDS, bare_process
from benchmarks.start import bare as bare_s
from tests.room.build_rig import BuildRig, Built, Started, an_app, an_instance, open_rig, places

from havre.apps import specs, stacks

SETTLE_S, ROUNDS = 5.0, 15
BARE = ["/usr/bin/python3", "app.py"]


def pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return int(next((line.split()[1] for line in lines if line.startswith("Pss:")), "0"))


def tree_of(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for each in found:
        try:
            found += [int(child) for child in Path(f"/proc/{each}/task/{each}/children").read_text().split()]
        except OSError:
            continue
    return found


async def start(rig: BuildRig, built: Built, number: int) -> Started:
    app = an_app("python", uid=220_100 + number, id=built.app.id)
    instance = an_instance(built.app, built.deployment)
    log = rig.paths.deployments / built.deployment.id / f"{instance.id}.log"
    sockets = rig.paths.app_sockets
    spec = specs.instance_spec(
        paths=rig.paths, app=built.app, deployment=built.deployment, plan=built.plan,
        toolchains=built.toolchains, instance=replace(instance, flavor="pico"), log=log,
        doors=specs.Doors(sockets / f"{number}.sock", sockets / f"{number}.tcp", sockets / f"{number}.own"),
        tree=stacks.tree_of(rig.stacks, built.roots.run),
    )  # fmt: skip
    await rig.engine.start(replace(spec, uid=app.uid if os.getuid() == 0 else spec.uid))
    started = Started(rig.engine, spec.id, log)
    while await started.ask("/") is None:
        await anyio.sleep(0.02)
    return started


async def measure(count: int) -> dict[str, float]:
    runtime, files, env = KINDS["python"]
    with places() as paths:
        rig = open_rig(paths)
        started: list[Started] = []
        try:
            built = await rig.build(files, runtime, env)
            assert built.exit.is_success, built.said
            ratios = []
            for number in range(count):
                began = time.monotonic()
                started.append(await start(rig, built, number))
                took = time.monotonic() - began
                if number < ROUNDS or number >= count - ROUNDS:
                    ratios.append(took / await anyio.to_thread.run_sync(bare_s, built, BARE))
            await anyio.sleep(SETTLE_S)
            units = [await rig.engine.get(each.id) for each in started]
            isolated = sum(pss_kib(pid) for unit in units if unit and unit.pid for pid in tree_of(unit.pid))
            async with anyio.create_task_group() as group:
                for each in started:
                    group.start_soon(lambda id=each.id: rig.engine.stop(id, grace_s=0))  # type: ignore[misc]
            with ExitStack() as stack:
                bare = [stack.enter_context(bare_process(built, BARE)) for _ in range(count)]
                await anyio.sleep(SETTLE_S)
                alone = sum(pss_kib(each.pid) for each in bare)
        finally:
            for each in started:
                await rig.engine.forget(each.id)
            await rig.end()
    return {
        "instances": count, "isolated_mb": isolated / 1024 / count, "bare_mb": alone / 1024 / count,
        "first": statistics.median(ratios[:ROUNDS]), "last": statistics.median(ratios[-ROUNDS:]),
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(anyio.run(measure, int(sys.argv[1]) if len(sys.argv) > 1 else 300)))
