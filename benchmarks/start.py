"""Start of an isolated Node app until its first answer, and of the bare process, in turn; the last line is JSON.

Medians of ROUNDS pairs in one run: {"isolated_s": …, "bare_s": …}. The isolated start is what a deploy does: the
engine's start of a release, then an answer through the instance's door.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import anyio
from tests.room.build_rig import BuildRig, Built, Started, an_instance, open_rig, places
from tests.system.rig import NODE_APP, free_ports

from havre.apps import specs, stacks

ROUNDS = 9


async def isolated(rig: BuildRig, built: Built) -> float:
    instance = an_instance(built.app, built.deployment)
    log = rig.paths.deployments / built.deployment.id / f"{instance.id}.log"
    sockets = rig.paths.app_sockets
    spec = specs.instance_spec(
        paths=rig.paths, app=built.app, deployment=built.deployment, plan=built.plan,
        toolchains=built.toolchains, instance=instance, log=log,
        doors=specs.Doors(sockets / "a.sock", sockets / "a.tcp", sockets / "a.own"),
        tree=stacks.tree_of(rig.stacks, built.roots.run),
    )  # fmt: skip
    began = time.monotonic()
    await rig.engine.start(spec)
    started = Started(rig.engine, spec.id, log)
    while await started.ask("/") is None:
        await anyio.sleep(0.01)
    took = time.monotonic() - began
    await rig.engine.stop(spec.id, grace_s=0)
    await rig.engine.forget(spec.id)
    return took


def bare(built: Built) -> float:
    """The same program with the same runtime on this machine, asked the same way."""
    node = next(each.source for each in built.toolchains if each.name == "node") / "bin" / "node"
    (port,) = free_ports(1)
    source = (built.release / "server.js").read_text().replace("listen(8080", f"listen({port}")
    began = time.monotonic()
    process = subprocess.Popen([str(node), "-e", source], env={"PATH": os.defpath}, stdout=subprocess.DEVNULL)
    try:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request("GET", "/")
                connection.getresponse().read()
                return time.monotonic() - began
            except OSError:
                time.sleep(0.01)
            finally:
                connection.close()
    finally:
        process.kill()
        process.wait()


async def measure() -> dict[str, float]:
    with places() as paths:
        rig = open_rig(paths)
        try:
            built = await rig.build(NODE_APP, "node")
            assert built.exit.is_success, built.said
            await isolated(rig, built)
            pairs = [(await isolated(rig, built), await anyio.to_thread.run_sync(bare, built)) for _ in range(ROUNDS)]
        finally:
            await rig.end()
    return {
        "isolated_s": statistics.median(each[0] for each in pairs),
        "bare_s": statistics.median(each[1] for each in pairs),
    }


if __name__ == "__main__":
    print(json.dumps(anyio.run(measure)))
