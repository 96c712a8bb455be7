"""Caddy as a process: one per installation, found again by identity, and routes that change under load."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading

import anyio
import anyio.lowlevel
import pytest

from havre.base.errors import UnavailableError
from havre.drivers import caddy
from havre.drivers.caddy import process
from tests.driver.caddy_rig import CaddyRig, alive, running_rig, says, until


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
        (rig.folder / "caddy.json").unlink()  # killed between starting it and remembering it
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
                    while not (record := process.read_record(rig.folder / "caddy.json")):
                        await anyio.lowlevel.checkpoint()
                    killed.cancel()
            assert record.config_hash == ""
            assert await rig.caddy.ensure() is True
            return record.identity.pid

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
                own = process.identity_of(stranger.pid)
                assert own is not None
                forged = process.Identity(stranger.pid, start_time or own.start_time, boot)
                process.write_record(file, process.Record(forged, record.config_hash, record.admin_socket))
                assert rig.caddy.running() is None
                anyio.run(lambda: caddy.stop(rig.folder))
                assert stranger.poll() is None
            assert anyio.run(rig.caddy.ensure) is True
        finally:
            stranger.kill()
            stranger.wait()


def test_a_killed_caddy_is_noticed_and_started_again_with_the_same_authority() -> None:
    with running_rig() as rig:
        rig.tls()
        authority = caddy.root_file(rig.settings.storage).read_bytes()
        first = pid_of(rig)

        async def kill_and_wait() -> None:
            with anyio.fail_after(10):
                async with anyio.create_task_group() as group:
                    group.start_soon(rig.caddy.wait_ended)
                    await anyio.lowlevel.checkpoint()
                    os.kill(first, signal.SIGKILL)
            await rig.caddy.ensure()

        anyio.run(kill_and_wait)
        assert pid_of(rig) != first
        assert caddy.root_file(rig.settings.storage).read_bytes() == authority
        assert rig.ask("nobody.havre.test", secure=True).status == 404


def test_a_changed_configuration_is_loaded_into_the_same_process() -> None:
    with running_rig() as rig:
        first = pid_of(rig)
        rig.start(own_hosts=("paas.example.test",))
        assert pid_of(rig) == first
        assert rig.ask("paas.example.test", secure=True).status == 503
        assert anyio.run(rig.caddy.ensure) is False


def test_a_caddy_with_another_socket_directory_is_moved_not_doubled() -> None:
    """The place of the sockets hangs on the environment of whoever starts us (a login, a timer)."""
    with running_rig() as rig:
        first, old_run = pid_of(rig), rig.run
        rig.run = rig.base / "moved"
        for each in ("apps", "routes", "flags/known"):
            (rig.run / each).mkdir(parents=True)
        rig.start(run=rig.run)
        assert pid_of(rig) == first and not (old_run / "caddy-admin.sock").exists()
        rig.upstream("a", says("a"))
        rig.route("shop.havre.test", "a")
        assert rig.ask("shop.havre.test").text == "a"


def test_a_caddy_whose_sockets_were_taken_away_is_replaced() -> None:
    with running_rig() as rig:
        first = pid_of(rig)
        shutil.rmtree(rig.run)
        for each in ("apps", "routes", "flags/known"):
            (rig.run / each).mkdir(parents=True)
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
        assert "caddy_http_requests_total" in anyio.run(rig.caddy.metrics)


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

        clients = [threading.Thread(target=ask_on) for _ in range(4)]
        for each in clients:
            each.start()
        for n in range(60):
            rig.route(f"other-{n}.havre.test", "blue")
            rig.route("shop.havre.test", ("green", "blue")[n % 2])
            assert rig.ask(f"other-{n}.havre.test").text == "blue"
            rig.unroute(f"other-{n}.havre.test")
            assert rig.ask(f"other-{n}.havre.test").status == 404
        stop.set()
        for each in clients:
            each.join()
        assert lost == []
        assert set(seen) == {"blue", "green"} and len(seen) > 60
