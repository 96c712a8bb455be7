"""What observers are taken to say: looking glasses over HTTP, and probers that end and begin anew."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from havre.network.decide import Stage, State
from havre.network.judge import judge
from havre.network.model import Intent
from havre.network.probes import keeper
from havre.network.probes.prober import CAPACITY
from havre.network.probes.streams import NAMES
from havre.network.sight import Sight
from havre.network.work import wanted_at
from tests.decide.network_rig import example, parsed
from tests.driver.test_driver_glass import PREFIX, RIPESTAT, SIX, Server, server
from tests.trials import FastClock

pytestmark = pytest.mark.anyio
__all__ = ["server"]
ENDS = """\
  probers:
    inside: { addresses: [198.51.100.11, "2001:db8:100::11"] }
    outside: { namespace: far, addresses: [203.0.113.11, "2001:db8:f::11"] }
"""


def tree(url: str = "", more: str = "") -> Intent:
    glass = f'  looking_glasses:\n    - {{ name: ris, url: "{url}", every_s: 0 }}\n' if url else ""
    return parsed(f"{example()}\nobservers:\n  soak_s: 1\n{glass}{more}")


async def test_a_looking_glass_over_http_decides_like_any_other(server: Server) -> None:
    intent = tree(server.url)
    flipped = wanted_at(intent, Stage(State.FLIPPED))
    both = f'{RIPESTAT[:-1]}, "six": {{"prefix": "{SIX}", "as_path": "1 64510"}}}}'
    async with Sight(intent, clock=FastClock()) as sight:
        server.says = both
        verdict = judge(await sight.look(), flipped)
        assert verdict.word == "waiting" and "some of its routers) sees 198.51.100.0/24 from AS64500" in verdict.why
        server.says = RIPESTAT
        verdict = judge(await sight.look(), flipped)
        assert (verdict.word, verdict.why) == ("failed", f"ris has no route to {SIX} any more")
        server.says = both.replace("64500", "64510")
        assert judge(await sight.look(), flipped).word == "well"
        server.says = server.says.replace("64498 64510", "64498 64666")
        verdict = judge(await sight.look(), flipped)
        assert verdict.word == "failed" and "AS64666, which is not of this migration" in verdict.why
        server.status = 500
        assert judge(await sight.look(), flipped).word == "waiting"
        assert "answers 500" in (await sight.transcript())[f"ris: show route {PREFIX}"]


class StillClock(FastClock):
    """No time passes between what is written and a look at it."""

    def monotonic(self) -> float:
        return 10_000.0


def written(folder: Path, *, sent: int, lost: int, age_s: float) -> None:
    """New files of both probers, as they leave them: the newest packet is `age_s` old, the last `lost` never came."""
    folder.mkdir(exist_ok=True)
    now = int(StillClock().monotonic() * 1e9) - int(age_s * 1e9)
    for name in NAMES:
        for end in ("sent", "recv"):
            fresh = folder / f"{name}.{end}.new"
            with open(fresh, "wb") as file:
                file.truncate(8 * CAPACITY)
                moments = [now - (sent - number) * 2_000_000 for number in range(1, sent + 1)]
                if end == "recv":
                    moments[sent - lost - 10 : sent - 10] = [0] * lost
                file.write(struct.pack(f"<{sent + 1}Q", sent, *moments))
            fresh.rename(folder / f"{name}.{end}")


async def test_probers_that_end_make_a_gate_wait_and_count_on_when_they_begin_anew(tmp_path: Path) -> None:
    intent = tree(more=ENDS)
    written(tmp_path / "m", sent=500, lost=0, age_s=0)
    async with Sight(intent, clock=StillClock(), folder=tmp_path / "m") as sight:
        seen = await sight.look()
        assert (seen.silent, set(seen.lost.values())) == (frozenset(), {0})
        written(tmp_path / "m", sent=500, lost=0, age_s=60)  # new ones that are silent themselves
        sight._open(tmp_path / "m")
        seen = await sight.look()
        assert seen.silent == {f"the stream {each}" for each in NAMES}
        assert judge(seen, wanted_at(intent, Stage(State.FLIPPED))).word == "waiting"
        written(tmp_path / "m", sent=20, lost=0, age_s=0)
        await sight.look()  # finds the new ones
        assert (await sight.look()).silent == frozenset()


async def test_what_is_late_to_a_prober_that_had_no_time_is_not_lost(tmp_path: Path) -> None:
    """400 packets were sent and 150 had not been read when both probers stood still, a second ago."""
    written(tmp_path / "m", sent=400, lost=0, age_s=0)
    intent = tree(more=ENDS)
    async with Sight(intent, clock=StillClock(), folder=tmp_path / "m") as sight:
        written(tmp_path / "m", sent=400, lost=150, age_s=1)
        sight._open(tmp_path / "m")
        sight._from = dict.fromkeys(sight._from, 1)
        assert set((await sight.look()).lost.values()) == {0}
        written(tmp_path / "m", sent=900, lost=20, age_s=0)  # these are too young to say
        sight._open(tmp_path / "m")
        sight._from = dict.fromkeys(sight._from, 1)
        assert set((await sight.look()).lost.values()) == {0}
        written(tmp_path / "m", sent=900, lost=500, age_s=0)
        sight._open(tmp_path / "m")
        sight._from = dict.fromkeys(sight._from, 1)
        assert all(each > 200 for each in (await sight.look()).lost.values())


def test_each_end_has_a_prober_that_knows_the_other(tmp_path: Path) -> None:
    observers = tree(more=ENDS).observers
    near, far = (keeper.argv(tmp_path, name, observers) for name in ("inside", "outside"))
    assert near[-7:] == ["inside", "in", "out", "198.51.100.11", "203.0.113.11", "2001:db8:100::11", "2001:db8:f::11"]
    assert far[:4] == ["ip", "netns", "exec", "far"] and near[0] != "ip"
    assert far[-7:] == ["outside", "out", "in", "203.0.113.11", "198.51.100.11", "2001:db8:f::11", "2001:db8:100::11"]


async def test_probers_run_while_they_are_wanted_and_begin_anew_together(tmp_path: Path) -> None:
    ends = ENDS.replace("namespace: far, ", "")
    observers = tree(more=ends).observers
    made = keeper.Keeper(tmp_path)
    made.keep({"m": observers, "without": tree().observers})
    first = [each.pid for each in made._running["m"]]
    assert len(first) == 2 and set(made._running) == {"m"}
    try:
        for each in made._running["m"]:  # these addresses are not this machine's: they end by themselves
            each.wait(30)
        made.keep({"m": observers})
        assert not set(first) & {each.pid for each in made._running["m"]}
        made.keep({})
        assert not made._running and not (tmp_path / "m").exists()
    finally:
        made.end()
