"""The engine's contract on real sandboxes: what starts, what is seen, what is reached, and what is not."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import anyio
import pytest

from havre.base.errors import ConflictError, NotFoundError
from havre.base.ids import UnitId
from havre.drivers.bwrap import Bind, Bubblewrap, Limits
from tests.driver.bwrap_rig import CADDY, NETWORK, Rig, opened

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
SERVER = ("/opt/caddy", "respond", "--listen", ":8080", "--body", "it is me")
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root makes network namespaces of the machine")


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with opened() as made:
        yield made


async def ask(engine: Bubblewrap, id: UnitId, path: str = "/") -> bytes:
    """The answer of the unit's server, once it listens."""
    with anyio.fail_after(30):
        while True:
            said = b""
            try:
                async with await engine.dial(id, 8080) as stream:
                    await stream.send(b"GET / HTTP/1.0\r\n\r\n")
                    while True:
                        said += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass
            if said:
                return said
            await anyio.sleep(0.05)


async def ask_socket(path: Path) -> bytes:
    async with await anyio.connect_unix(str(path)) as stream:
        await stream.send(b"GET / HTTP/1.0\r\n\r\n")
        said = b""
        while True:
            try:
                said += await stream.receive()
            except anyio.EndOfStream:
                return said


# starting and ending


async def test_a_unit_says_its_exit_code_and_writes_straight_to_its_log(rig: Rig) -> None:
    ended, said = await rig.bash("echo one; echo two >&2; exit 7")
    assert (ended.code, ended.signal, ended.oom, said) == (7, None, False, "one\ntwo\n")


async def test_a_second_start_of_the_same_id_starts_nothing(rig: Rig) -> None:
    spec = rig.spec("/bin/bash", "-c", "echo started; sleep 60")
    first = await rig.engine().start(spec)
    second = await rig.engine().start(spec)
    assert first.pid == second.pid
    await rig.engine().stop(spec.id, grace_s=0)
    assert spec.log.read_text().count("started") <= 1


async def test_a_new_engine_finds_what_runs_and_learns_how_it_ends(rig: Rig) -> None:
    spec = rig.spec("/bin/bash", "-c", "read < <(sleep 1); exit 3", labels={"app": "x"})
    await rig.engine().start(spec)
    other = rig.engine()
    seen = await other.seen()
    assert [(each.id, each.labels["app"]) for each in seen] == [(spec.id, "x")]
    with anyio.fail_after(30):
        assert (await other.wait(spec.id)).code == 3


async def test_stopping_lets_the_app_finish_and_then_does_not(rig: Rig) -> None:
    polite = rig.spec("/bin/bash", "-c", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done")
    deaf = rig.spec("/bin/bash", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done")
    engine = rig.engine()
    for spec in (polite, deaf):
        await engine.start(spec)
        with anyio.fail_after(30):
            while not spec.log.exists() or "up" not in spec.log.read_text():
                await anyio.sleep(0.05)
    assert (await engine.stop(polite.id, grace_s=20)).code == 0
    assert polite.log.read_text().endswith("bye\n")
    assert (await engine.stop(deaf.id, grace_s=0.3)).signal == 9


async def test_a_server_ends_its_own_workers_and_a_shell_does_not(rig: Rig) -> None:
    """A child that is told behind its parent's back says so; a child of a shell must be told."""
    server = """
import os, signal, sys, time
def told(*_): print(who, "told", flush=True); os.kill(child, signal.SIGUSR1) if child else None
def asked(*_): print(who, "asked", flush=True); os._exit(0)
child, who = 0, "parent"
signal.signal(signal.SIGTERM, told); signal.signal(signal.SIGUSR1, asked)
child = os.fork()
who = "parent" if child else "worker"
print(who, "up", flush=True)
if child: os.wait(); sys.exit(0)
while True: time.sleep(1)
"""
    spec = rig.spec("/bin/sh", "-c", f"true; /usr/bin/python3 -c '{server}'; exit 7")
    engine = rig.engine()
    await engine.start(spec)
    with anyio.fail_after(30):
        while not spec.log.exists() or spec.log.read_text().count("up") < 2:
            await anyio.sleep(0.05)
    ended = await engine.stop(spec.id, grace_s=20)
    said = spec.log.read_text().splitlines()
    assert sorted(said[2:]) == ["parent told", "worker asked"]
    assert ended.code == 7, "the shell has seen the end of what it waited for"


async def test_a_worker_that_its_parent_forgets_is_told_when_half_of_the_time_has_passed(rig: Rig) -> None:
    forgetful = """
import os, signal, sys, time
child = os.fork()
if child: signal.signal(signal.SIGTERM, lambda *_: print("parent told", flush=True))
else: signal.signal(signal.SIGTERM, lambda *_: (print("worker told", flush=True), os._exit(0)))
print("up", flush=True)
if child: os.wait(); sys.exit(0)
while True: time.sleep(1)
"""
    spec = rig.spec("/usr/bin/python3", "-c", forgetful)
    engine = rig.engine()
    await engine.start(spec)
    with anyio.fail_after(30):
        while not spec.log.exists() or spec.log.read_text().count("up") < 2:
            await anyio.sleep(0.05)
    ended = await engine.stop(spec.id, grace_s=10)
    said = spec.log.read_text().splitlines()
    assert (said[2], sorted(said[3:])) == ("parent told", ["parent told", "worker told"])
    assert ended.code == 0


async def test_a_deadline_ends_a_unit(rig: Rig) -> None:
    ended, _ = await rig.bash("sleep 600", deadline_s=0.5)
    assert ended.deadline and not ended.is_success and str(ended) == "took too long"


async def test_with_its_monitor_dies_the_unit(rig: Rig) -> None:
    spec = rig.spec(*SERVER)
    engine = rig.engine()
    unit = await engine.start(spec)
    await ask(engine, spec.id)
    assert unit.pid is not None
    os.kill(unit.pid, 9)
    with anyio.fail_after(30):
        ended = await engine.wait(spec.id)
    assert ended.code is None
    assert (await engine.get(spec.id)).state == "exited"  # type: ignore[union-attr]


async def test_what_runs_is_not_forgotten_and_what_is_unknown_is_said_so(rig: Rig) -> None:
    spec = rig.spec("/bin/sleep", "60")
    engine = rig.engine()
    await engine.start(spec)
    with pytest.raises(ConflictError):
        await engine.forget(spec.id)
    await engine.stop(spec.id, grace_s=0)
    await engine.forget(spec.id)
    assert await engine.get(spec.id) is None
    with pytest.raises(NotFoundError):
        await engine.wait(spec.id)


# requests


async def test_requests_wait_until_a_unit_accepts_and_again_after_it_quiesced(rig: Rig) -> None:
    engine, first, second = rig.engine(), rig.spec(*SERVER), rig.spec(*SERVER)
    await engine.start(first)
    await ask(engine, first.id)
    answers: list[bytes] = []

    async def visit() -> None:
        answers.append(await ask_socket(rig.base / "run" / "app.sock"))

    async with anyio.create_task_group() as group:
        group.start_soon(visit)
        with anyio.fail_after(30):
            await engine.accept(first.id)
            while not answers:
                await anyio.sleep(0.02)
            await engine.quiesce(first.id)
            group.start_soon(visit)
            await engine.start(second)
            await ask(engine, second.id)
            assert len(answers) == 1, "nobody accepts: the request waits in the socket"
            await engine.accept(second.id)
    assert [each.endswith(b"it is me") for each in answers] == [True, True]
    assert await engine.connections(first.id) == 0


# what a unit sees


async def test_a_unit_sees_its_own_processes_user_and_variables_alone(rig: Rig) -> None:
    os.environ["HVD_SECRET"] = "of the host"
    try:
        _, said = await rig.bash("id -u; hostname; echo $$; ls /proc | grep -c '^[0-9]'; env | sort; ls /root /home")
    finally:
        del os.environ["HVD_SECRET"]
    lines = said.splitlines()
    assert lines[:2] == ["1000", "havre"]
    assert int(lines[2]) < 10 and int(lines[3]) < 10
    assert "HVD_SECRET" not in said and "of the host" not in said


async def test_a_variable_may_be_empty_and_hold_any_character(rig: Rig) -> None:
    env = {"PATH": "/usr/bin:/bin", "ODD": "a'b\n\"c $HOME", "EMPTY": ""}
    _, said = await rig.bash('echo "$ODD|${EMPTY-unset}|"', env=env)
    assert said == "a'b\n\"c $HOME||\n"


async def test_a_unit_cannot_write_below_its_root_or_make_namespaces(rig: Rig) -> None:
    ended, said = await rig.bash("touch /usr/x /etc/x /opt/caddy; unshare -U true; mount -t tmpfs none /tmp; exit 5")
    assert ended.code == 5
    assert said.count("Read-only file system") + said.count("Permission denied") >= 3
    assert "unshare" in said and "Operation not permitted" in said


async def test_an_overlay_takes_writes_and_forgets_them(rig: Rig) -> None:
    tree = rig.base / "tree"
    tree.mkdir()
    (tree / "kept").write_text("as built")
    if os.getuid() == 0:
        for each in (tree, tree / "kept"):
            os.chown(each, 250_000, 250_000)
    overlays = (Bind(tree, "/app"),)
    _, said = await rig.bash("echo new > /app/kept; cat /app/kept; echo x > /app/more; ls /app", overlays=overlays)
    assert said == "new\nkept\nmore\n", said
    assert (tree / "kept").read_text() == "as built" and not (tree / "more").exists()


@AS_ROOT
async def test_a_unit_that_takes_too_much_memory_is_ended_and_it_is_said(rig: Rig) -> None:
    script = "x=a; while :; do x=$x$x; done"
    ended, _ = await rig.bash(script, limits=Limits(64 * 1024**2, 1.0))
    assert ended.oom and str(ended) == "out of memory"


@AS_ROOT
async def test_a_fork_bomb_is_bounded(rig: Rig) -> None:
    script = "for n in $(seq 100); do sleep 2 & done 2>/dev/null; jobs -r | wc -l"
    ended, said = await rig.bash(script, limits=Limits(256 * 1024**2, 1.0, pids=30), deadline_s=40)
    assert not ended.is_success or int(said.splitlines()[-1]) < 30, said


# the network


@dataclass
class World:
    """A place beyond this machine: a network namespace of the test's own with a server in it."""

    address: str
    server: subprocess.Popen[bytes]


@pytest.fixture
def world() -> Iterator[World]:
    name = f"hvd{uuid4().hex[:6]}"
    subnet = 2 * (int(uuid4().hex[:2], 16) // 2)
    here, there = f"198.51.100.{subnet}", f"198.51.100.{subnet + 1}"
    steps = [
        ("netns", "add", name),
        ("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name),
        ("addr", "add", f"{here}/31", "dev", name), ("link", "set", name, "up"),
        ("-n", name, "addr", "add", f"{there}/31", "dev", "eth0"), ("-n", name, "link", "set", "eth0", "up"),
        ("-n", name, "link", "set", "lo", "up"),
    ]  # fmt: skip
    for step in steps:
        subprocess.run(["ip", *step], check=True)
    command = ["ip", "netns", "exec", name, str(CADDY), "respond", "--listen", ":8080", "--body", "from {client_ip}"]
    command[-1] = "from beyond"
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield World(there, server)
    finally:
        server.kill()
        server.wait()
        subprocess.run(["ip", "link", "del", name], check=False)
        subprocess.run(["ip", "netns", "del", name], check=True)


def get(address: str, port: int = 8080, *, tries: int = 8) -> str:
    """Ask `address` for a page with bash alone, every half second."""
    talk = f"exec 3<>/dev/tcp/{address}/{port} && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3"
    return f'for n in $(seq {tries}); do timeout 4 bash -c "{talk}" && break; sleep 0.5; done'


@AS_ROOT
@pytest.mark.skipif(shutil.which("ip") is None, reason="needs iproute2")
async def test_a_unit_of_root_reaches_the_world_through_its_own_network(rig: Rig, world: World) -> None:
    assert rig.engine().way_out().kind == "veth", rig.engine().way_out().why
    ended, said = await rig.bash(get(world.address, tries=40))
    assert "from beyond" in said, said
    assert ended.is_success
    _, said = await rig.bash(get(world.address, tries=2), way_out=False, deadline_s=50)
    assert "from beyond" not in said


@AS_ROOT
async def test_a_unit_reaches_neither_this_machine_nor_another_unit(rig: Rig) -> None:
    engine, neighbour = rig.engine(), rig.spec(*SERVER)
    await engine.start(neighbour)
    await ask(engine, neighbour.id)
    server = subprocess.Popen(
        [str(CADDY), "respond", "--listen", "0.0.0.0:18471", "--body", "host service"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        own = (await rig.bash("grep -oE '10[.]214[.][0-9.]+' /proc/net/fib_trie | sort -u"))[1].split()
        hosts = [*own, "127.0.0.1"]
        places = [*(f"{each}/18471" for each in hosts), *(f"{NETWORK[number]}/8080" for number in range(4))]
        probes = (f"(timeout 2 bash -c 'exec 3<>/dev/tcp/{each}' && echo REACHED {each}) &" for each in places)
        _, said = await rig.bash("\n".join((*probes, "wait; echo done")))
    finally:
        server.kill()
        server.wait()
    assert said.endswith("done\n") and "REACHED" not in said, said
