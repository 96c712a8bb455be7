"""Caddy as a process: one per installation, found again by identity, and routes that change under load."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from havre.base.errors import UnavailableError
from havre.drivers import caddy
from havre.drivers.identity import find
from havre.drivers.keeper import Keeper, Program, process
from tests.driver.caddy_rig import CaddyRig, alive, running_rig, says, until


@contextlib.contextmanager
def running_threads(stop: threading.Event, threads: list[threading.Thread]) -> Iterator[None]:
    for each in threads:
        each.start()
    try:
        yield
    finally:
        stop.set()
        for each in threads:
            each.join()


def pid_of(rig: CaddyRig) -> int:
    found = rig.caddy.running()
    assert found is not None
    return found.pid


def test_caddy_outlives_a_killed_starter_and_is_adopted() -> None:
    rig = CaddyRig()
    script = (
        "import anyio, sys, time, pathlib, json\n"
        "from havre.drivers.caddy import Caddy, EdgeSettings\n"
        "from havre.kernel.clock import SystemClock\n"
        "told = json.loads(sys.argv[1])\n"
        "paths = {key: pathlib.Path(told[key]) for key in ('run', 'storage', 'access_log', 'caddy_log')}\n"
        "caddy = Caddy(pathlib.Path(told.pop('folder')), EdgeSettings(**(told | paths)), SystemClock())\n"
        "anyio.run(caddy.ensure)\n"
        "print('up', flush=True)\n"
        "time.sleep(60)\n"
    )
    settings = {key: getattr(rig.settings, key) for key in rig.settings.__dataclass_fields__}
    told = json.dumps({"folder": rig.folder, **settings}, default=str)
    starter = subprocess.Popen([sys.executable, "-c", script, told], stdout=subprocess.PIPE)
    try:
        assert starter.stdout is not None and starter.stdout.readline() == b"up\n"
        first = pid_of(rig)
        rig.upstream("a", says("a"))
        rig.route("shop.havre.test", "a")
        starter.send_signal(signal.SIGKILL)
        starter.wait()
        assert rig.ask("shop.havre.test").text == "a"
        assert os.getsid(first) == first  # a session of its own: no terminal and no signal of ours reaches it
        assert anyio.run(rig.caddy.ensure) is False, "an equal configuration is left untouched"
        assert pid_of(rig) == first
        (rig.folder / "loaded.json").unlink()  # killed between having it at work and remembering that
        assert anyio.run(rig.caddy.ensure) is True
        assert pid_of(rig) == first
    finally:
        starter.kill()
        starter.wait()
        starter.stdout.close() if starter.stdout else None
        rig.close()
    until(lambda: not alive(first), what="Caddy ended by stop")


def test_a_caddy_whose_starter_was_killed_while_it_started_is_adopted() -> None:
    rig = CaddyRig()
    try:

        async def begin_and_go_on() -> int:
            with anyio.CancelScope() as killed:
                async with anyio.create_task_group() as group:
                    group.start_soon(rig.caddy.ensure)
                    while not (found := rig.caddy.running()):
                        await anyio.lowlevel.checkpoint()
                    killed.cancel()
            assert not (rig.folder / "loaded.json").exists()
            assert await rig.caddy.ensure() is True
            return found.pid

        assert anyio.run(begin_and_go_on) == pid_of(rig)
        assert rig.ask("nobody.havre.test", secure=True).status == 404
    finally:
        rig.close()


def test_a_pid_that_belongs_to_somebody_else_is_not_taken_for_caddy() -> None:
    with running_rig() as rig:
        file = rig.folder / "caddy.json"
        record = process.read_record(file)
        assert record is not None
        anyio.run(lambda: caddy.stop(rig.folder))
        stranger = subprocess.Popen(["/bin/sleep", "60"])
        try:
            for start_time, boot in ((record.identity.start_time, record.identity.boot_id), (None, "another-boot")):
                own = find(stranger.pid)
                assert own is not None
                forged = [stranger.pid, start_time or own.start_time, boot]
                for each in (file, rig.folder / "keeper.pid"):
                    each.write_text(json.dumps({"identity": forged, "digest": record.digest}))
                assert rig.caddy.running() is None
                anyio.run(lambda: caddy.stop(rig.folder))
                assert stranger.poll() is None
            assert anyio.run(rig.caddy.ensure) is True
        finally:
            stranger.kill()
            stranger.wait()


# killed


def test_a_killed_caddy_is_back_at_once_and_nobody_is_refused_or_answered_wrongly() -> None:
    """kill -9 under load, with nobody there but the keeper: who was being answered loses that answer, no one else."""
    with running_rig() as rig:
        for name in ("a", "b"):
            rig.upstream(name, says(name))
            rig.route(f"{name}.havre.test", name)
        stop = threading.Event()
        wrong: list[str] = []
        refused: list[str] = []
        counts = {"answered": 0, "cut": 0}

        def ask_on(host: str) -> None:
            while not stop.is_set():
                try:
                    answer = rig.ask(host, secure=True)
                except ConnectionRefusedError as error:
                    refused.append(repr(error))
                except (OSError, http.client.HTTPException):
                    counts["cut"] += 1
                else:
                    counts["answered"] += 1
                    if (answer.status, answer.text) != (200, host[0]):
                        wrong.append(f"{host}: {answer.status} {answer.text}")

        with running_threads(stop, [threading.Thread(target=ask_on, args=(f"{name}.havre.test",)) for name in "abab"]):
            killed = []
            for _ in range(3):
                before = counts["answered"]
                until(lambda before=before: counts["answered"] > before + 20, what="answers", limit_s=60)  # type: ignore[misc]
                killed.append(pid_of(rig))
                os.kill(killed[-1], signal.SIGKILL)
                until(
                    lambda: (found := rig.caddy.running()) is not None and found.pid not in killed,
                    what="another Caddy",
                )
            until(lambda: rig.ask("a.havre.test", secure=True).text == "a", what="an answer in the end")
        assert (wrong, refused) == ([], [])
        assert counts["cut"] <= 4 * len(killed)
        assert rig.caddy.starts() == 1 + len(killed)


def test_a_killed_keeper_leaves_caddy_serving_and_its_successor_has_the_sockets_again() -> None:
    with running_rig() as rig:
        rig.upstream("a", says("a"))
        rig.route("shop.havre.test", "a")
        first = pid_of(rig)
        keeper = rig.caddy.keeper.running()
        assert keeper is not None

        async def kill_and_wait() -> None:
            with anyio.fail_after(10):
                async with anyio.create_task_group() as group:
                    group.start_soon(rig.caddy.wait_ended)
                    await anyio.lowlevel.checkpoint()
                    os.kill(keeper.identity.pid, signal.SIGKILL)

        anyio.run(kill_and_wait)
        assert rig.ask("shop.havre.test").text == "a"
        assert anyio.run(rig.caddy.ensure) is True
        assert pid_of(rig) == first, "Caddy was not touched"
        os.kill(first, signal.SIGKILL)
        until(lambda: not alive(first), what="Caddy is gone")
        assert rig.ask("shop.havre.test", secure=True).text == "a", "whoever comes meanwhile waits"
        assert pid_of(rig) != first


def test_there_is_one_keeper_however_many_are_started() -> None:
    with running_rig() as rig:
        program = Path(process.__file__).with_name("keeper.py")
        command = [sys.executable, "-I", "-S", str(program), str(rig.folder)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=20)
        assert second.returncode == 1 and "another keeper" in second.stderr


def test_a_keeper_that_is_told_otherwise_touches_only_what_changed(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)

    def program(name: str, seconds: int) -> Program:
        return Program(name, ("/bin/sleep", str(seconds)), tmp_path, tmp_path / f"{name}.out")

    def pid(name: str) -> int | None:
        record = keeper.record(name)
        return record.identity.pid if record else None

    try:
        assert keeper.ensure((program("a", 60), program("b", 60)))
        first = keeper.running()
        until(lambda: pid("a") and pid("b"), what="both run")
        a, b = pid("a"), pid("b")
        assert not keeper.ensure((program("a", 60), program("b", 60)))
        assert keeper.ensure((program("a", 60), program("b", 61), program("c", 60)))
        until(lambda: pid("c") and pid("b") not in (None, b), what="one more, and another b")
        assert pid("a") == a and keeper.running() is not None and keeper.running().identity == first.identity  # type: ignore[union-attr]
        assert keeper.ensure((program("c", 60),))
        assert (pid("a"), pid("b")) == (None, None) and pid("c")
    finally:
        keeper.stop(grace_s=1)
    assert pid("c") is None


def test_one_that_was_being_started_when_all_were_stopped_does_not_stay(tmp_path: Path) -> None:
    """It has no record yet: it waits for somebody to read what it writes of itself."""
    keeper = Keeper(tmp_path)
    os.mkfifo(tmp_path / "late.json.new")
    keeper.ensure((Program("late", ("/bin/sleep", "60"), tmp_path, tmp_path / "out"),))
    running = keeper.running()
    assert running is not None
    begun = until(lambda: process._children_of(running.identity.pid), what="it is being started")
    keeper.stop(grace_s=1)
    assert [pid for pid in begun if find(pid)] == []


def test_a_keeper_that_somebody_halted_and_did_not_end_goes_on(tmp_path: Path) -> None:
    keeper, told = Keeper(tmp_path), (Program("a", ("/bin/sleep", "60"), tmp_path, tmp_path / "out"),)
    try:
        keeper.ensure(told)
        running, first = keeper.running(), until(lambda: keeper.record("a"), what="it runs")
        assert running is not None
        os.kill(running.identity.pid, signal.SIGSTOP)
        os.kill(first.identity.pid, signal.SIGKILL)
        assert keeper.ensure(told) is False and keeper.running() == running
        until(lambda: keeper.record("a") not in (None, first), what="it is started again")
    finally:
        keeper.stop(grace_s=1)


def test_a_program_is_where_it_was_told_to_be_in_the_queue_for_the_processor_and_its_keeper_is_not(
    tmp_path: Path,
) -> None:
    keeper = Keeper(tmp_path)
    told = (Program("late", ("/bin/sleep", "60"), tmp_path, tmp_path / "out", nice=7, is_batch=True),)
    try:
        keeper.ensure(told)
        record = until(lambda: keeper.record("late"), what="it runs")
        until(lambda: os.getpriority(os.PRIO_PROCESS, record.identity.pid) == 7, what="it has its place")
        assert os.sched_getscheduler(record.identity.pid) == os.SCHED_BATCH
        running = keeper.running()
        assert running and os.getpriority(os.PRIO_PROCESS, running.identity.pid) == os.getpriority(os.PRIO_PROCESS, 0)
        assert os.sched_getscheduler(running.identity.pid) == os.SCHED_OTHER
    finally:
        keeper.stop(grace_s=1)


def test_a_program_that_dies_at_once_is_tried_again_with_a_growing_pause(tmp_path: Path) -> None:
    counter = tmp_path / "count"
    command = ("/bin/sh", "-c", f"date +%s.%N >> {counter}; exit 1")
    keeper = Keeper(tmp_path)
    keeper.ensure((Program("dies", command, tmp_path, tmp_path / "out", env={"PATH": "/usr/bin:/bin"}),))
    try:
        until(lambda: counter.exists() and len(counter.read_text().split()) >= 5, what="five tries")
    finally:
        keeper.stop()
    moments = [float(each) for each in counter.read_text().split()]
    pauses = [after - before for before, after in pairwise(moments)]
    least = (0, 0.08, 0.16, 0.32)  # a busy machine adds to each
    assert all(seen > each for seen, each in zip(pauses, least, strict=False)), pauses


def test_a_changed_configuration_is_loaded_into_the_same_process() -> None:
    with running_rig() as rig:
        first = pid_of(rig)
        rig.certify("paas.example.test")
        rig.start(own_hosts=("paas.example.test",))
        assert pid_of(rig) == first
        assert rig.ask("paas.example.test", secure=True).status == 503
        assert anyio.run(rig.caddy.ensure) is False


def test_a_caddy_with_another_socket_directory_is_moved_not_doubled() -> None:
    """The place of the sockets hangs on the environment of whoever starts us (a login, a timer)."""
    with running_rig() as rig:
        first, old_run = pid_of(rig), rig.run
        rig.run = rig.base / "moved"
        rig.make_folders()
        rig.start(run=rig.run)
        assert pid_of(rig) == first and not (old_run / "caddy-admin.sock").exists()
        rig.upstream("a", says("a"))
        rig.route("shop.havre.test", "a")
        assert rig.ask("shop.havre.test").text == "a"


def test_a_caddy_whose_sockets_were_taken_away_is_replaced() -> None:
    with running_rig() as rig:
        first = pid_of(rig)
        shutil.rmtree(rig.run)
        rig.make_folders()
        assert anyio.run(rig.caddy.ensure) is True
        assert pid_of(rig) != first and not alive(first)
        rig.upstream("a", says("a"))
        rig.route("shop.havre.test", "a")
        assert rig.ask("shop.havre.test").text == "a"


def test_a_port_that_is_taken_is_said_by_its_number() -> None:
    rig = CaddyRig()
    try:
        with socket.create_server(("127.0.0.1", rig.settings.https_port)):
            with pytest.raises(UnavailableError, match=rf"{rig.settings.https_port}.*address already in use"):
                rig.start()
        assert rig.caddy.running() is None
        rig.start()
    finally:
        rig.close()


def test_the_admin_socket_is_for_its_owner_and_gives_figures() -> None:
    with running_rig() as rig:
        assert rig.settings.admin_socket.stat().st_mode & 0o777 == 0o600
        rig.ask("nobody.havre.test")
        assert "caddy_admin_http_requests_total" in anyio.run(rig.caddy.metrics)


def test_keep_alive_clients_lose_nothing_while_routes_change() -> None:
    """Names come and go and one moves between two apps; each answer comes from one of the two."""
    with running_rig() as rig:
        for name in ("blue", "green"):
            rig.upstream(name, says(name))
        rig.route("shop.havre.test", "blue")
        stop = threading.Event()
        lost: list[str] = []
        seen: list[str] = []

        def ask_on() -> None:
            connection = http.client.HTTPConnection("shop.havre.test", timeout=20)
            connection.sock = rig.connect()
            opened = connection.sock
            while not stop.is_set():
                try:
                    connection.request("POST" if len(seen) % 2 else "GET", "/", headers={"Host": "shop.havre.test"})
                    response = connection.getresponse()
                    text = response.read().decode()
                    (seen if response.status == 200 else lost).append(text)
                except (OSError, http.client.HTTPException) as error:
                    lost.append(repr(error))
                    break
            if connection.sock is not opened:
                lost.append("the connection was not kept alive")
            connection.close()

        with running_threads(stop, [threading.Thread(target=ask_on) for _ in range(4)]):
            for n in range(60):
                rig.route(f"other-{n}.havre.test", "blue")
                rig.route("shop.havre.test", ("green", "blue")[n % 2])
                assert rig.ask(f"other-{n}.havre.test").text == "blue"
                rig.unroute(f"other-{n}.havre.test")
                assert rig.ask(f"other-{n}.havre.test").status == 404
        assert lost == []
        assert set(seen) == {"blue", "green"} and len(seen) > 60
