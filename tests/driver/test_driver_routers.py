"""What every engine of an edge has to do, on the real daemons: one suite for BIRD and for FRR.

An edge with the generated configuration of the example stands opposite a neighbour that sends what it should and what it
should not.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import pytest

from havre.base.errors import InvalidError, UnavailableError
from havre.drivers import bird, frr, netns
from havre.network import decide, engines, now
from havre.network.model import Intent
from tests.decide.network_rig import GOLDEN, example, parsed

PATH = f"{os.defpath}:/usr/sbin:/sbin:/usr/lib/frr"
HAS = {
    "bird": shutil.which("bird", path=PATH) is not None,
    "frr": all(Path("/usr/lib/frr", each).exists() for each in ("zebra", "staticd", "bfdd", "bgpd", "frr-reload.py")),
}
BOTH = ["bird", pytest.param("frr", marks=pytest.mark.soak)]  # FRR takes seconds for each change
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(os.geteuid() != 0 or not HAS["bird"], reason="needs root and bird2, for namespaces"),
]
NEIGHBOR = """\
router id 10.0.1.2;
protocol device { }
protocol bfd { }
protocol static good4 { ipv4; route 203.0.113.0/24 unreachable; route 198.51.100.0/24 unreachable; route 203.0.113.0/28 unreachable; }
protocol static good6 { ipv6; route 2001:db8:f::/48 unreachable; route 2001:db8:100::/48 unreachable; }
protocol bgp us4 { local 10.0.1.2 as 64500; neighbor 10.0.1.1 as 64510; connect delay time 1; connect retry time 1; error wait time 1, 2;
  bfd { min rx interval 100 ms; min tx interval 100 ms; multiplier 50; }; ipv4 { import all; export where proto = "good4"; }; }
protocol bgp us6 { local fd00:1::2 as 64500; neighbor fd00:1::1 as 64510; connect delay time 1; connect retry time 1; error wait time 1, 2;
  bfd { min rx interval 100 ms; min tx interval 100 ms; multiplier 50; }; ipv6 { import all; export where proto = "good6"; }; }
"""


@dataclass
class Rig:
    """An edge that runs, and its neighbour's BIRD."""

    intent: Intent
    folder: Path
    edge: bird.Bird | frr.Frr
    neighbor: bird.Bird
    check: Callable[[Path], Awaitable[None]]

    def text(self, stage: str) -> str:
        posture = decide.posture(self.intent, decide.stage_named(self.intent, stage))
        return engines.render(self.intent, self.intent.edge("par1"), posture, {})

    async def bring(self, text: str) -> None:
        file = self.folder / "edge.conf"
        file.write_text(text)
        file.chmod(0o644)
        await self.check(file)
        await self.edge.configure(file)

    async def established(self, *names: str) -> None:
        await _established(self.edge, *names)

    async def since(self) -> dict[str, float]:
        """Since when each session of the neighbour stands, which hears of it after us."""
        await _established(self.neighbor, "us4", "us6")
        return await _since(self.neighbor)


@pytest.fixture
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    engine: str = request.param
    if not HAS[engine]:
        pytest.skip(f"{engine} is not installed")
    tree = parsed(example())
    tree = replace(tree, edges=tuple(replace(each, engine=engine) for each in tree.edges))
    patient = [replace(each, bfd=replace(each.bfd, multiplier=50)) for each in tree.upstreams if each.bfd]
    tree = replace(tree, upstreams=tuple(patient))  # as the neighbour: a machine that stands still cuts no session
    folder = Path(tempfile.mkdtemp(prefix="hvrt-", dir="/tmp"))
    folder.chmod(0o755)
    spaces = netns.Namespaces(f"hvtest-{os.getpid()}")
    try:
        _wire(spaces)
        (folder / "n.conf").write_text(NEIGHBOR)
        _start(spaces, folder, "neighbor", "b", ["bird", "-f", "-c", f"{folder}/n.conf", "-s", f"{folder}/n.ctl"])
        if engine == "bird":
            (folder / "edge.conf").write_text("router id 10.255.0.1;\nprotocol device { }\n")
            _start(spaces, folder, "edge", "a", ["bird", "-f", "-c", f"{folder}/edge.conf", "-s", f"{folder}/e.ctl"])
            edge: bird.Bird | frr.Frr = bird.Bird(folder / "e.ctl")
            made = Rig(tree, folder, edge, bird.Bird(folder / "n.ctl"), bird.check)
        else:
            _start_frr(spaces, folder)
            made = Rig(tree, folder, frr.Frr(folder / "frr"), bird.Bird(folder / "n.ctl"), frr.check)
        await _answers(made.edge)
        await _answers(made.neighbor)
        yield made
        await made.edge.close()
        await made.neighbor.close()
    finally:
        spaces.remove()
        shutil.rmtree(folder)


def _wire(spaces: netns.Namespaces) -> None:
    spaces.make(["a", "b"])
    for one, two in (("up_hp", "hp"), ("up_t1", "t1"), ("core", "inner")):
        ends = ("name", two, "netns", spaces.name("b"))
        netns.run("ip", "link", "add", one, "netns", spaces.name("a"), "type", "veth", "peer", *ends)
        spaces.batch("a", [f"link set dev {one} up"])
        spaces.batch("b", [f"link set dev {two} up"])
    spaces.batch("a", ["link set lo up", "address add 10.0.1.1/30 dev up_hp", "address add fd00:1::1/64 dev up_hp nodad",
                       "address add 10.0.2.1/30 dev up_t1", "address add fd00:2::1/64 dev up_t1 nodad",
                       "address add 10.255.0.1/24 dev core", "address add fd00:255::1/64 dev core nodad"])  # fmt: skip
    spaces.batch("b", ["link set lo up", "address add 10.0.1.2/30 dev hp", "address add fd00:1::2/64 dev hp nodad"])


def _start(spaces: netns.Namespaces, folder: Path, key: str, node: str, argv: list[str]) -> None:
    spaces.start(key, node, argv, log=folder / f"{key}.log", environment={"PATH": PATH})


def _start_frr(spaces: netns.Namespaces, folder: Path) -> None:
    place = folder / "frr"
    place.mkdir()
    shutil.chown(place, "frr", "frr")
    for name, waits in (("zebra", "zserv.api"), ("staticd", "staticd.vty"), ("bfdd", "bfdd.vty"), ("bgpd", "bgpd.vty")):
        (place / f"{name}.conf").write_text("")
        shutil.chown(place / f"{name}.conf", "frr", "frr")
        argv = [f"/usr/lib/frr/{name}", "-f", f"{place}/{name}.conf", "-i", f"{place}/{name}.pid"]
        argv += ["--vty_socket", str(place), "-z", f"{place}/zserv.api", "--log", "stdout"]
        argv += ["--bfdctl", f"{place}/bfdd.sock"] if name == "bfdd" else []
        _start(spaces, folder, name, "a", argv)
        deadline = time.monotonic() + 20
        while not (place / waits).exists() and time.monotonic() < deadline:
            time.sleep(0.02)


async def _answers(daemon: bird.Bird | frr.Frr) -> None:
    with anyio.fail_after(30):
        while True:
            try:
                await daemon.version()
                return
            except UnavailableError:
                await anyio.sleep(0.05)


async def _established(daemon: bird.Bird | frr.Frr, *names: str) -> None:
    with anyio.fail_after(40):
        while True:
            seen = await daemon.sessions()
            if all(each in seen and seen[each].is_established for each in names):
                return
            await anyio.sleep(0.1)


async def _until_routes(daemon: bird.Bird | frr.Frr, prefix: str) -> tuple[bird.Route, ...]:
    with anyio.fail_after(30):
        while not (found := await daemon.routes(prefix)):
            await anyio.sleep(0.1)
    return found


@pytest.mark.parametrize("rig", ["bird", "frr"], indirect=True)
async def test_sessions_stand_and_nothing_passes_that_should_not(rig: Rig) -> None:
    await rig.bring(rig.text("FLIPPED"))
    await rig.established("up_hp_ipv4", "up_hp_ipv6")
    session = (await rig.edge.sessions())["up_hp_ipv4"]
    assert (session.neighbor, session.neighbor_asn, session.local_asn) == ("10.0.1.2", 64500, 64510)
    for prefix in ("203.0.113.0/24", "2001:db8:f::/48"):
        (taken,) = await _until_routes(rig.edge, prefix)
        assert (taken.path, taken.preference) == ((64500,), 50)
        assert set(taken.large_communities) == {"64510, 1, 64500", "64510, 2, 2"}
    assert [each for each in await rig.edge.routes("198.51.100.0/24") if each.path] == []  # ours, from outside
    assert await rig.edge.routes("203.0.113.0/28") == ()  # too long
    for prefix in ("198.51.100.0/24", "2001:db8:100::/48"):
        with anyio.fail_after(30):
            while not (told := [each for each in await rig.neighbor.routes(prefix) if each.path]):
                await anyio.sleep(0.1)
        assert told[0].path == (64510,) * 3  # prepended twice
    assert set(await rig.edge.exported("up_hp_ipv4")) == {"198.51.100.0/24"}
    with anyio.fail_after(30):
        while {(await rig.edge.bfd()).get(each) for each in ("10.0.1.2", "fd00:1::2")} != {"Up"}:
            await anyio.sleep(0.1)


@pytest.mark.parametrize("rig", ["bird", "frr"], indirect=True)
async def test_what_runs_is_adopted(rig: Rig) -> None:
    await rig.bring(rig.text("FLIPPED"))
    await rig.established("up_hp_ipv4", "up_hp_ipv6")
    engine = "frr" if isinstance(rig.edge, frr.Frr) else "bird"
    with anyio.fail_after(30):
        while "198.51.100.0/24" not in await rig.edge.exported("up_hp_ipv4"):
            await anyio.sleep(0.1)
        while "2001:db8:100::/48" not in await rig.edge.exported("up_hp_ipv6"):
            await anyio.sleep(0.1)
    aut_num = "aut-num: AS64510\nimport: from AS64500 accept ANY\n"
    text = await now.adopt_now(rig.edge.socket, engine=engine, edge="par1", site="paris", aut_num=aut_num)
    loopbacks = 'loopbacks: [10.255.0.1, "fd00:255::1"]'
    found = parsed(re.sub(r"loopbacks: .*", loopbacks, text))  # of iBGP, which nobody speaks here
    assert (found.asn, {str(each.prefix) for each in found.prefixes}) == (
        64510,
        {"198.51.100.0/24", "2001:db8:100::/48"},
    )
    edge, (upstream,) = found.edge("par1"), found.upstreams
    assert (edge.engine, edge.socket, str(edge.router_id)) == (engine, str(rig.edge.socket), "10.255.0.1")
    assert (upstream.name, upstream.kind.value, upstream.asn, upstream.timers.hold_s) == ("hp", "transit", 64500, 30)
    assert {(str(each.local), str(each.neighbor)) for each in upstream.links} == {
        ("10.0.1.1", "10.0.1.2"), ("fd00:1::1", "fd00:1::2"),
    }  # fmt: skip


@pytest.mark.parametrize("rig", BOTH, indirect=True)
async def test_a_neighbour_that_joins_starts_no_other_session_again(rig: Rig) -> None:
    await rig.bring(rig.text("FLIPPED"))
    await rig.established("up_hp_ipv4", "up_hp_ipv6")
    before = await rig.since()
    await rig.bring(rig.text("MULTI(1)"))
    with anyio.fail_after(30):
        while not {"up_t1_ipv4", "up_t1_ipv6"} <= (await rig.edge.sessions()).keys():
            await anyio.sleep(0.1)
    await rig.bring(rig.text("FLIPPED"))
    with anyio.fail_after(30):
        while {"up_t1_ipv4", "up_t1_ipv6"} & (await rig.edge.sessions()).keys():
            await anyio.sleep(0.1)
    await rig.established("up_hp_ipv4", "up_hp_ipv6")
    assert await rig.since() == pytest.approx(before, abs=0.5)


@pytest.mark.parametrize("rig", BOTH, indirect=True)
async def test_what_we_do_not_tell_any_more_is_withdrawn_without_a_restart(rig: Rig) -> None:
    await rig.bring(rig.text("FLIPPED"))
    await rig.established("up_hp_ipv4", "up_hp_ipv6")
    with anyio.fail_after(30):
        while not [each for each in await rig.neighbor.routes("198.51.100.0/24") if each.path]:
            await anyio.sleep(0.1)
    before = await rig.since()
    posture = decide.posture(rig.intent, decide.stage_named(rig.intent, "SHADOW"), is_silent=True)
    await rig.bring(engines.render(rig.intent, rig.intent.edge("par1"), posture, {}))
    with anyio.fail_after(30):
        while [each for each in await rig.neighbor.routes("198.51.100.0/24") if each.path]:
            await anyio.sleep(0.1)
    assert await rig.since() == pytest.approx(before, abs=0.5)


@pytest.mark.parametrize("rig", BOTH, indirect=True)
async def test_a_wrong_file_is_refused_and_what_runs_stays(rig: Rig) -> None:
    await rig.bring(rig.text("FLIPPED"))
    await rig.established("up_hp_ipv4")
    with pytest.raises(InvalidError, match="refuses"):
        await rig.bring(rig.text("FLIPPED") + "router bgp nonsense\n")
    assert (await rig.edge.sessions())["up_hp_ipv4"].is_established


@pytest.mark.skipif(not HAS["frr"], reason="frr is not installed")
@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.frr")), ids=lambda each: each.stem)
async def test_frr_itself_takes_what_we_generate(file: Path) -> None:
    await frr.check(file)


async def _since(neighbor: bird.Bird) -> dict[str, float]:
    """Since when each session of the neighbour is what it is, in seconds; the last millisecond varies."""
    said = await neighbor.ask("show protocols")
    found = {line.split()[0]: line.split()[4] for line in said.splitlines() if line.startswith("us")}
    parts = {name: [float(each) for each in at.split(":")] for name, at in found.items()}
    return {name: hours * 3600 + minutes * 60 + seconds for name, (hours, minutes, seconds) in parts.items()}
