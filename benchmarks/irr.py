"""A filter of 55,000 prefixes of 4,000 origins made from a registry: ours beside bgpq4 (C) at the same server."""

from __future__ import annotations

import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.driver.registry_rig import server

from havre.drivers import irr
from havre.kernel.clock import SystemClock
from havre.network.registries import filters

ORIGINS, PREFIXES, ROUNDS = 4_000, 55_000, 3


def objects() -> str:
    """The same objects each time: a set of sets, route objects that often are halves of each other."""
    chance = random.Random(6)
    members = [f"AS{100_000 + at}" for at in range(ORIGINS)]
    sets = [f"AS-PART{at}" for at in range(20)]
    text = [f"as-set: AS-BENCH\nmembers: {', '.join(sets)}\nsource: BENCH\n"]
    text += [f"as-set: {name}\nmembers: {', '.join(members[at::20])}\nsource: BENCH\n" for at, name in enumerate(sets)]
    for at in chance.sample(range(0x100000), PREFIXES):
        prefix = f"{16 + (at >> 16)}.{at >> 8 & 255}.{at & 255}.0/24"
        text.append(f"route: {prefix}\norigin: {chance.choice(members)}\nsource: BENCH\n")
    return "\n".join(text)


def measure() -> dict[str, float]:
    """Median seconds of both, and how many entries each made of it."""
    found: dict[str, list[float]] = {"ours_s": [], "bgpq4_s": []}
    counts: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "bench.rpsl")
        file.write_text(objects())
        with server("irr", file) as port:
            for at in range(ROUNDS):
                began = time.perf_counter()
                counts["ours"] = len(anyio.run(ours, port, Path(folder, f"cache{at}")).texts)
                found["ours_s"].append(time.perf_counter() - began)
                if shutil.which("bgpq4"):
                    argv = ["bgpq4", "-h", f"127.0.0.1:{port}", "-S", "BENCH", "-A", "-j", "-l", "f", "AS-BENCH"]
                    began = time.perf_counter()
                    done = subprocess.run(argv, capture_output=True, check=True, timeout=300)
                    found["bgpq4_s"].append(time.perf_counter() - began)
                    counts["bgpq4"] = len(json.loads(done.stdout)["f"])
    return {name: statistics.median(times) for name, times in found.items() if times} | counts


async def ours(port: int, folder: Path) -> filters.PrefixList:
    registry = irr.Irrd(irr.Endpoint("127.0.0.1", port, ("BENCH",)))
    cache = filters.Cache(folder)
    return await filters.prefix_list(filters.Asked("AS-BENCH", 4), (registry,), cache=cache, clock=SystemClock())


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
