"""The daemon itself brings a whole migration about, against the routers of the lab: with its own probers, killed twice."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

from havre.kernel.clock import SystemClock
from havre.network import decide
from havre.network.lab.build import Lab, missing
from havre.network.lab.world import REMOTE, Knobs
from havre.network.probes import streams
from tests.decide.network_rig import example
from tests.system.rig import HAVRE, Installation, until

LACKS = missing()
needs_lab = pytest.mark.skipif(bool(LACKS), reason=f"the lab lacks {', '.join(LACKS)}")
INSIDE = {4: "198.51.100.11", 6: "2001:db8:100::11"}  # the daemon's probers; the lab's own count beside them
OUTSIDE = {4: "203.0.113.11", 6: "2001:db8:f::11"}


@dataclass
class Inside(Installation):
    """An installation in the namespace of the customer, where the lab's registries are."""

    namespace: str = ""

    def havre(self, *args: str, check: bool = True, limit_s: float = 120) -> subprocess.CompletedProcess[str]:
        command = ["ip", "netns", "exec", self.namespace, HAVRE, *args, "--data", str(self.data)]
        command += ["--config", str(self.config)] if args[0] in ("up", "down") else []
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, env=self.plain_environment())
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}{self.log_tail()}"
        return done

    def migration(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.havre("network", "migrate", "show", "m", "--json").stdout)
        return found

    def probers(self) -> set[int]:
        """The pids of the daemon's probers."""
        mark, found = str(self.data / "network" / "streams").encode(), set()
        for each in Path("/proc").glob("[0-9]*"):
            try:
                line = (each / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(mark in part for part in line) and b"stream" in line:
                found.add(int(each.name))
        return found


@contextmanager
def lab() -> Iterator[Lab]:
    """The world at DRAFT, with packets that are counted by the lab."""
    made = Lab.prepare(example(), Knobs(soak_s=1.0), clock=SystemClock())

    async def begin() -> None:
        await made.__aenter__()
        for node, interface, addresses in (("cust", "lo", INSIDE), ("rem", "net", OUTSIDE)):
            lengths = {4: 32, 6: 128} if node == "cust" else {4: 24, 6: 64}
            lines = [f"address add {addresses[each]}/{lengths[each]} dev {interface}" for each in (4, 6)]
            made.spaces.batch(node, lines)
        await made.start_registries()
        await made.start_daemons(decide.posture(made.intent, decide.stages(made.intent)[0]), phase=0)
        made.start_probes()
        await made.wait_for_packets()

    try:
        anyio.run(begin)
        yield made
    finally:
        made.remove()


def intent_of(made: Lab) -> str:
    """The lab's tree, with probers that the daemon runs."""
    tree = yaml.safe_load((made.folder / "intent.yaml").read_text())
    del tree["observers"]["streams"]
    tree["observers"]["targets"] = list(REMOTE.values())
    tree["observers"]["probers"] = {
        "inside": {"namespace": made.spaces.name("cust"), "addresses": list(INSIDE.values())},
        "outside": {"namespace": made.spaces.name("rem"), "addresses": list(OUTSIDE.values())},
    }
    return str(yaml.safe_dump(tree, sort_keys=False))


@needs_lab
@pytest.mark.soak
def test_the_daemon_migrates_with_probers_of_its_own_and_goes_on_after_kill_9() -> None:
    with lab() as made, tempfile.TemporaryDirectory(prefix="hvn-") as base:
        there = Inside(Path(base), namespace=made.spaces.name("cust"))
        file = there.base / "intent.yaml"
        file.write_text(intent_of(made))
        opened = streams.open_all(made.folder)
        first = {each.name: each.sent + 1 for each in opened}
        there.up()
        try:
            there.havre("network", "migrate", "begin", "m", str(file))
            for name in ("hp", "t1", "t2", "t3"):
                there.havre("network", "migrate", "confirm", "m", name, "--words", "their NOC")
            for stage in ("SHADOW", "MULTI(1)"):
                until(lambda stage=stage: _is_past(there.migration(), stage), what=f"{stage} is reached", limit_s=120)
                before = there.probers()
                assert len(before) == 2
                there.kill_control_plane()
                until(lambda: not there.probers(), what="its probers ended with it")
                there.up()
            until(lambda: there.migration()["stage"] == "CLEANED", what="CLEANED is reached", limit_s=180)
            until(lambda: not there.probers(), what="nobody probes once it is done")
            found = there.migration()
            assert not found["paused"] and found["note"] == ""
            proof = there.havre("network", "migrate", "proof", "m").stdout
            assert "inet: show route 198.51.100.0/24" in proof and "packets lost since it began: in-4 0" in proof
            counted = [each.count(first[each.name], each.sent - 200) for each in opened]
            assert [(each.name, each.lost) for each in counted] == [(name, 0) for name in streams.NAMES]
            assert all(each.sent > 2000 for each in counted)
        finally:
            there.down()
            for each in opened:
                each.close()
    assert not [each for each in os.listdir("/run/netns") if each.startswith(f"hvlab-{os.getpid()}-")]


def _is_past(found: dict[str, Any], stage: str) -> bool:
    assert not found["paused"], found["note"]
    way = ["DRAFT", "REGISTERED", "PROPAGATED", "SHADOW", "FLIPPED", "MULTI(1)", "MULTI(2)", "MULTI(3)", "CLEANED"]
    return way.index(found["stage"]) >= way.index(stage)
