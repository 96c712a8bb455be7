"""BIRD over its control socket: the real daemon, in a namespace of its own."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from havre.base.errors import InvalidError, UnavailableError
from havre.drivers import bird, netns
from tests.decide.network_rig import GOLDEN

PATH = f"{os.defpath}:/usr/sbin:/sbin"
HAS_BIRD = shutil.which("bird", path=PATH) is not None
CONFIG = """\
router id 10.0.0.1;
protocol device { }
protocol static own_ipv4 { ipv4; route 198.51.100.0/24 unreachable; }
protocol bgp up_t1_ipv4 { local 127.0.0.1 as 64510; neighbor 127.0.0.2 as 64501; passive on; ipv4 { import none; export all; }; }
"""
pytestmark = pytest.mark.anyio
needs_bird = pytest.mark.skipif(not HAS_BIRD, reason="bird2 is not installed")
needs_root = pytest.mark.skipif(not HAS_BIRD or os.geteuid() != 0, reason="needs bird2 and root, for a namespace")


@pytest.fixture
def folder() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="hvbird-", dir="/tmp"))
    yield place
    shutil.rmtree(place)


@pytest.fixture
def running(folder: Path) -> Iterator[bird.Bird]:
    (folder / "bird.conf").write_text(CONFIG)
    spaces = netns.Namespaces(f"hvtest-{os.getpid()}")
    try:
        spaces.make(["bird"])
        argv = ["bird", "-f", "-c", str(folder / "bird.conf"), "-s", str(folder / "b.ctl")]
        spaces.start("bird", "bird", argv, log=folder / "log", environment={"PATH": PATH})
        yield bird.Bird(folder / "b.ctl")
    finally:
        spaces.remove()
    assert f"hvtest-{os.getpid()}-bird" not in os.listdir("/run/netns")


async def answers(daemon: bird.Bird) -> str:
    with anyio.fail_after(20):
        while True:
            try:
                return await daemon.version()
            except UnavailableError:
                await anyio.sleep(0.02)


@needs_root
async def test_sessions_and_routes_are_read(running: bird.Bird) -> None:
    assert re.match(r"\d+\.\d+", await answers(running))
    assert await running.router_id() == "10.0.0.1"
    session = (await running.sessions())["up_t1_ipv4"]
    assert (session.kind, session.neighbor, session.neighbor_asn, session.local_asn) == (
        "BGP",
        "127.0.0.2",
        64501,
        64510,
    )
    assert not session.is_established
    (route,) = await running.routes("198.51.100.0/24")
    assert route.session == "own_ipv4" and route.is_best and route.path == ()
    assert await running.routes("192.0.2.0/24") == ()
    await running.close()


@needs_root
async def test_a_wrong_file_is_refused_and_changes_nothing(running: bird.Bird, folder: Path) -> None:
    await answers(running)
    (folder / "bird.conf").write_text(CONFIG + "protocol nonsense;\n")
    with pytest.raises(InvalidError, match=r"bird\.conf"):
        await running.configure()
    assert await running.routes("198.51.100.0/24") != ()
    (folder / "bird.conf").write_text(CONFIG)
    await running.close()


@needs_root
async def test_a_change_is_taken_and_undone(running: bird.Bird, folder: Path) -> None:
    await answers(running)
    (folder / "other.conf").write_text(CONFIG.replace("198.51.100.0/24", "192.0.2.0/24"))
    await running.configure(folder / "other.conf")
    await _until(running, "192.0.2.0/24")
    await running.undo()
    await _until(running, "198.51.100.0/24")
    await running.close()


@needs_root
async def test_a_daemon_that_is_gone_is_unavailable_and_found_again(running: bird.Bird, folder: Path) -> None:
    await answers(running)
    other = bird.Bird(folder / "none.ctl")
    with pytest.raises(UnavailableError):
        await other.version()
    await running.close()
    assert await running.version()
    await running.close()


@needs_bird
@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.conf")), ids=lambda each: each.stem)
async def test_the_daemon_itself_takes_what_we_generate(file: Path, folder: Path) -> None:
    """The password's file is one that the operator makes."""
    copy, secret = folder / "edge.conf", folder / "p1.conf"
    secret.write_text('password "secret";\n')
    copy.write_text(file.read_text().replace("/etc/bird/p1.conf", str(secret)))
    await bird.check(copy)


@needs_bird
async def test_what_is_wrong_is_refused_with_its_line(folder: Path) -> None:
    file = folder / "bad.conf"
    file.write_text("router id 1.1.1.1;\nprotocol bgp { nonsense; }\n")
    with pytest.raises(InvalidError, match=r"bad\.conf:2"):
        await bird.check(file)


@needs_root
async def test_what_a_dead_owner_left_is_removed_by_name_and_nothing_else() -> None:
    dead = netns.Namespaces("hvtestdead-999999999")
    mine = netns.Namespaces(f"hvtestdead-{os.getpid()}")
    try:
        dead.make(["a"])
        mine.make(["a"])
        assert netns.forget_dead("hvtestdead") == ["hvtestdead-999999999-a"]
        assert f"hvtestdead-{os.getpid()}-a" in os.listdir("/run/netns")
    finally:
        dead.remove()
        mine.remove()


async def _until(daemon: bird.Bird, prefix: str) -> None:
    with anyio.fail_after(20):
        while not await daemon.routes(prefix):
            await anyio.sleep(0.02)
