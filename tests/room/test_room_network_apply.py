"""Versions of configurations, and that the command line's plan says what apply would do."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from havre.base.errors import ConflictError, InvalidError, NotFoundError
from havre.drivers import bird, netns
from havre.kernel.clock import SystemClock
from havre.network import now
from havre.network.act import Edges, Historical, request
from tests.decide.network_rig import example, parsed

pytestmark = pytest.mark.anyio


def edges(folder: Path) -> Edges:
    return Edges(parsed(tree(folder)), folder / "state", SystemClock())


def tree(folder: Path) -> str:
    content = example()
    for edge in ("par1", "lyo1", "lil1"):
        own = f"        socket: {folder}/{edge}.ctl\n        config: {folder}/{edge}.conf\n"
        content = content.replace(f"      {edge}:\n", f"      {edge}:\n{own}")
    return content


async def test_a_version_keeps_what_each_edge_had(tmp_path: Path) -> None:
    made = edges(tmp_path)
    assert made.keep({"par1": "one\n", "lyo1": "two\n"}, words="first") == 1
    assert made.keep({"par1": "three\n"}, words="second") == 2
    assert made.versions() == {1: "first", 2: "second"}
    assert made.version(2) == {"par1": "three\n", "lyo1": "two\n"}
    with pytest.raises(NotFoundError, match="there is 1, 2"):
        made.version(3)


async def test_a_plan_touches_nothing(tmp_path: Path) -> None:
    file = tmp_path / "intent.yaml"
    file.write_text(tree(tmp_path))
    made = await now.plan_now(file, tmp_path / "state", stage="", clock=SystemClock())
    assert set(made.differences) == {"par1", "lyo1", "lil1"}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["intent.yaml"]


async def test_a_plan_of_a_wrong_file_names_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(tree(tmp_path).replace("asn: 64510", "asn: ten"))
    with pytest.raises(InvalidError, match=r"mine\.yaml:4: asn: 'ten' is not"):
        await now.plan_now(file, tmp_path / "state", stage="", clock=SystemClock())


async def test_a_provider_that_is_not_ours_to_configure_is_asked_in_words_and_in_its_daemons_language(
    tmp_path: Path,
) -> None:
    intent = parsed(example())
    hp = Historical(intent, tmp_path, SystemClock())
    assert not hp.is_managed
    said = await hp.bring_to(2)
    text = (tmp_path / "requests" / "phase-2.md").read_text()
    assert "asked to prefer our BGP route, keep the static" in said
    assert text == request(intent, 2)
    assert "preference 50" in text and "198.51.100.0/24" in text and "2001:db8:100::/48" in text
    assert "preference 200" in request(intent, 0)
    assert "protocol static" not in request(intent, 3)


PATH = f"{os.defpath}:/usr/sbin:/sbin"
needs_bird = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("bird", path=PATH) is None, reason="needs root and bird2"
)
BEFORE = """\
router id 10.255.0.1;
protocol device { }
protocol static ours { ipv4; route 198.51.100.0/24 unreachable; }
protocol bgp transit_v4 { local 127.0.0.1 as 64510; neighbor 127.0.0.2 as 64501; hold time 90; ipv4 { import none; export all; }; }
protocol bgp hp_v4 { local 127.0.0.1 as 64510; neighbor 127.0.0.3 as 64500; ipv4 { import none; export all; }; }
"""


@pytest.fixture
def daemons() -> Iterator[Path]:
    """The example's three edges as daemons without neighbours, that run something of their own making."""
    folder = Path(tempfile.mkdtemp(prefix="hvapply-", dir="/tmp"))
    spaces = netns.Namespaces(f"hvtest-{os.getpid()}")
    try:
        spaces.make(["a", "b", "c"])
        for node, edge in zip("abc", ("par1", "lyo1", "lil1"), strict=True):
            spaces.batch(node, ["link set lo up"])
            (folder / f"{edge}.conf").write_text(BEFORE)
            argv = [
                "bird",
                "-f",
                "-c",
                f"{folder}/{edge}.conf",
                "-s",
                f"{folder}/{edge}.ctl",
                "-P",
                f"{folder}/{edge}.pid",
            ]
            spaces.start(edge, node, argv, log=folder / "log", environment={"PATH": PATH})
        deadline = time.monotonic() + 20
        while len(list(folder.glob("*.ctl"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        yield folder
    finally:
        spaces.remove()
        shutil.rmtree(folder)


@needs_bird
async def test_an_intent_is_applied_changed_and_taken_back_by_version(daemons: Path) -> None:
    file, state, clock = daemons / "intent.yaml", daemons / "state", SystemClock()
    file.write_text(tree(daemons))
    assert await now.apply_now(file, state, stage="FLIPPED", clock=clock) == 2
    assert await now.apply_now(file, state, stage="FLIPPED", clock=clock) == 0
    assert await now.apply_now(file, state, stage="MULTI(1)", clock=clock) == 3
    async with bird.Bird(daemons / "par1.ctl") as par1:
        await _until_sessions(par1, {"up_hp_ipv4", "up_hp_ipv6", "up_t1_ipv4", "up_t1_ipv6"})
        assert await now.go_back(file, state, number=2, clock=clock) == 4
        await _until_sessions(par1, {"up_hp_ipv4", "up_hp_ipv6"})
        assert await now.go_back(file, state, number=1, clock=clock) == 5  # what was there before us
        await _until_sessions(par1, set())
    assert list((await now.versions(file, state, clock=clock)).values()) == [
        "what was there before Havre", "intent.yaml at FLIPPED", "intent.yaml at MULTI(1)", "back to version 2",
        "back to version 1",
    ]  # fmt: skip


async def test_a_tree_with_an_old_origin_is_not_applied_in_one_go(tmp_path: Path) -> None:
    file = tmp_path / "intent.yaml"
    file.write_text(tree(tmp_path))
    with pytest.raises(ConflictError, match="gate by gate"):
        await now.apply_now(file, tmp_path / "state", stage="", clock=SystemClock())
    assert sorted(each.name for each in tmp_path.iterdir()) == ["intent.yaml"]


@needs_bird
async def test_a_file_stays_as_readable_as_it_was(daemons: Path) -> None:
    (daemons / "par1.conf").chmod(0o640)
    file = daemons / "intent.yaml"
    file.write_text(tree(daemons))
    await now.apply_now(file, daemons / "state", stage="FLIPPED", clock=SystemClock())
    assert (daemons / "par1.conf").stat().st_mode & 0o777 == 0o640
    made = edges(daemons)
    await made.ready(made.present())
    await made.close()
    assert (daemons / "par1.ready.conf").stat().st_mode & 0o777 == 0o640


@needs_bird
async def test_what_the_daemon_refuses_is_nowhere_brought_out(daemons: Path) -> None:
    made = edges(daemons)
    with pytest.raises(InvalidError, match=r"lil1: BIRD refuses"):
        await made.push({"par1": BEFORE.replace("hold time 90", "hold time 60"), "lil1": "nonsense;\n"}, words="wrong")
    await made.close()
    assert (daemons / "par1.conf").read_text() == BEFORE
    assert made.versions() == {}


@needs_bird
async def test_a_running_bird_is_adopted(daemons: Path) -> None:
    text = await now.adopt_now(daemons / "par1.ctl", edge="par1", site="paris", aut_num=AUT_NUM)
    assert "asn: 64510" in text and "router_id: 10.255.0.1" in text
    assert "kind: transit # aut-num: accept ANY" in text
    assert "hp:" in text and 'neighbor: "127.0.0.3"' in text
    with pytest.raises(InvalidError) as raised:
        parsed(text)  # it says what a person still has to say, and where
    assert "an IPv6 prefix of ours" in raised.value.message or "loopbacks" in raised.value.message


AUT_NUM = "aut-num: AS64510\nimport: from AS64501 accept ANY\n"


async def _until_sessions(daemon: bird.Bird, wanted: set[str]) -> None:
    with anyio.fail_after(20):
        while {each for each in await daemon.sessions() if each.startswith("up_")} != wanted:
            await anyio.sleep(0.02)
