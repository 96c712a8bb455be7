"""600,000 VRPs by RTR: our client's time and memory, beside rtrlib's client (C) on the same bytes.

A server in a process of its own sends an answer that was made before. VRPs are synthetic: prefix lengths and the number
of origins are those of the table of 2025 (about 4 of 5 are IPv4, most of them /24; 60,000 origins). Each client runs in
a process of its own; its memory is the most that it ever had, with the interpreter and the modules of the room.
"""

from __future__ import annotations

import json
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from havre.drivers import rtr
from havre.drivers.rtr import pdus
from havre.kernel.clock import SystemClock
from havre.network.registries import origins, vrps

COUNT = 600_000
SEED = 20


def synthetic(count: int) -> list[tuple[int, int, int]]:
    """So many different records, always the same ones."""
    chance = random.Random(SEED)
    found: dict[tuple[int, int, int], None] = {}
    while len(found) < count:
        family = 4 if chance.random() < 0.8 else 6
        length = (
            chance.choice((24, 24, 24, 24, 23, 22, 22, 21, 20, 19, 16))
            if family == 4
            else chance.choice((48, 48, 32, 40, 44))
        )
        bits = chance.getrandbits(length)
        key = 1 << length | (bits if family == 4 else 1 << (length - 3) | bits >> 3)
        longest = min(length + chance.choice((0, 0, 0, 1, 2, 4)), 24 if family == 4 else 48)
        found[(family, key, chance.randrange(1, 60_000) * 7 << 8 | max(longest, length))] = None
    return list(found)


@contextmanager
def serving(answer: bytes) -> Iterator[int]:
    """Serve `answer` to any question, from this process's other thread (sending gives the interpreter up)."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            with accepted:
                accepted.recv(64)
                accepted.sendall(answer)
                accepted.recv(64)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.close()


def most_mb() -> float:
    """The most that this program ever had; a child's ru_maxrss would begin with that of who started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) / 1024


def ours(port: int) -> dict[str, float]:
    """Fetch the table and look routes up; in this process."""

    begin_mb = most_mb()
    client = rtr.Client(rtr.Cache("127.0.0.1", port), vrps.Vrps, clock=SystemClock())
    began = time.perf_counter()
    table = anyio.run(client.once)
    took = time.perf_counter() - began
    first_mb = most_mb()
    anyio.run(client.once)  # as after a reconnection: the old table counts until the new one is complete
    again_mb = most_mb()
    chance = random.Random(1)
    asked = [(1 << 24 | chance.getrandbits(24), chance.randrange(1, 60_000) * 7) for _ in range(200_000)]
    began = time.perf_counter()
    for key, asn in asked:
        origins.state(table, 4, key, asn)
    per_s = len(asked) / (time.perf_counter() - began)
    return {
        "count": len(table),
        "seconds": took,
        "begin_mb": begin_mb,
        "first_mb": first_mb,
        "again_mb": again_mb,
        "lookups_per_s": per_s,
    }


def peer(port: int) -> dict[str, float] | None:
    """rtrlib's rtrclient on the same bytes: until it has written the table out."""
    program = shutil.which("rtrclient")
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        argv = [program, "-e", "-t", "csv", "-o", f"{folder}/out", "tcp", "127.0.0.1", str(port)]
        began = time.perf_counter()
        subprocess.run(argv, check=True, capture_output=True, timeout=300)
        took = time.perf_counter() - began
        count = Path(folder, "out").read_text().count("\n")
    return {"count": count, "seconds": took}


def measure() -> dict[str, dict[str, float] | None]:
    """Ours and the peer's, one after the other, each in its own process."""
    body = b"".join(pdus.prefix(1, *each) for each in synthetic(COUNT))
    answer = pdus.plain(1, pdus.CACHE_RESPONSE, 1) + body + pdus.end_of_data(1, 1, 1, pdus.Timers())
    found = {}
    with serving(answer) as port:
        for name in ("ours", "peer"):
            argv = [sys.executable, __file__, name, str(port)]
            done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=600)
            found[name] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps({"ours": ours, "peer": peer}[sys.argv[1]](int(sys.argv[2]))))
    else:
        print(json.dumps(measure(), indent=1))
