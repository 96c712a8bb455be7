"""Apps and visitors that mean harm through the network: services of the host, the way out, connections."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import anyio
import pytest

from havre.kernel.units import UnitSpec
from tests.hostile_rig import (
    PRELUDE,
    SECRET,
    HostileRig,
    HostService,
    host_service,
    open_rig,
    while_the_neighbour_answers,
)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(280)]


@pytest.fixture(scope="module")
def service() -> Iterator[HostService]:
    with host_service() as made:
        yield made


LOOPBACKS = ("127.0.0.1", "127.1", "0x7f000001", "2130706433", "localhost", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1")


@pytest.mark.parametrize("way_out", ["best", "proxy"])
async def test_no_service_of_the_host_and_no_other_app_is_reached(way_out: str, service: HostService) -> None:
    with open_rig(way_out=way_out) as rig:
        neighbour = await rig.neighbour()
        addresses = [*LOOPBACKS, *service.addresses, "::ffff:" + service.addresses[-1], "169.254.169.254", "fe80::1"]
        addresses += ["10.213.0.1", "10.213.0.2", "10.213.0.3", "10.213.0.0"]
        trial = await rig.attack(
            f"""
            addresses, ports = {addresses!r}, ({service.port}, 8080)
            own = {{"127.0.0.1", "127.1", "0x7f000001", "2130706433", "localhost", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"}}
            def direct(host, port):
                if reaches(host, port): leak(f"direct {{host}} {{port}}")
            def ask(request):
                try:
                    with socket.create_connection(("127.0.0.1", 3128), 2) as proxy:
                        proxy.sendall(request.encode())
                        proxy.settimeout(4)
                        return proxy.recv(100).decode(errors="replace")
                except OSError:
                    return ""
            def proxied(host, port):
                shown = f"[{{host}}]" if ":" in host else host
                for request in (f"CONNECT {{shown}}:{{port}} HTTP/1.1\\r\\n\\r\\n", f"GET http://{{shown}}:{{port}}/ HTTP/1.1\\r\\n\\r\\n"):
                    said = ask(request)
                    if said and " 403 " not in said and " 502 " not in said: leak(f"proxy {{request!r}}: {{said!r}}")
            threads = [threading.Thread(target=each, args=(host, port)) for each in (direct, proxied) for host in addresses for port in ports]
            for each in threads: each.start()
            for each in threads: each.join()
            if {way_out == "proxy"} and " 403 " not in ask("CONNECT 127.0.0.1:{service.port} HTTP/1.1\\r\\n\\r\\n"): leak("no proxy was there")
            print("done")
            """
        )
        assert trial.leaks == [] and trial.said.endswith("done\n"), trial.said
        assert service.visits == []
        assert SECRET in await rig.ask(neighbour)
        await rig.end()


async def test_the_way_out_of_one_app_is_not_used_up_by_another() -> None:
    with open_rig(way_out="proxy") as rig:
        greedy = await rig.start(rig.spec(PROXY_HOARDER))
        with anyio.fail_after(60):
            while "hoarded" not in greedy.log.read_text():
                await anyio.sleep(0.1)
            other = await rig.attack(
                """
                with socket.create_connection(("127.0.0.1", 3128), 5) as proxy:
                    proxy.sendall(b"CONNECT 127.0.0.1:1 HTTP/1.1\\r\\n\\r\\n")
                    proxy.settimeout(5)
                    print(proxy.recv(100))
                """
            )
        assert "403" in other.said
        held = int(greedy.log.read_text().split("hoarded ")[1].split()[0])
        assert held <= 128 + 128, "the proxy's connections, and the backlog of the door to it"
        await rig.end()


PROXY_HOARDER = """
import socket, time
held = []
for _ in range(1000):
    s = socket.socket(); s.settimeout(0.3)
    try: s.connect(("127.0.0.1", 3128))
    except OSError: break
    held.append(s)
print("hoarded", len(held), flush=True)
time.sleep(600)
"""


async def test_visitors_who_hold_every_connection_of_an_app_are_seen_and_hold_none_of_its_neighbour(
    rig: HostileRig, neighbour: UnitSpec
) -> None:
    """As ordinary users may open 1024 files on some machines, the connections are held by other processes."""
    besieged = await rig.start(
        rig.spec(PRELUDE + "s = socket.create_server(('0.0.0.0', 8080), backlog=4096)\n" + HOLDS)
    )
    await rig.engine.accept(besieged.id)
    crowd: list[subprocess.Popen[bytes]] = []

    async def trial() -> None:
        try:
            with anyio.fail_after(60):
                while not ((unit := await rig.engine.get(besieged.id)) and unit.is_beset):
                    if len(crowd) < 12:
                        crowd.append(subprocess.Popen([sys.executable, "-c", CROWD, str(besieged.listen)]))
                    await anyio.sleep(0.1)
        finally:
            for each in crowd:
                each.kill()
                each.wait()
        with anyio.fail_after(60):
            while (unit := await rig.engine.get(besieged.id)) is None or unit.is_beset:
                await anyio.sleep(0.1)

    await while_the_neighbour_answers(rig, neighbour, trial)
    calm = await rig.engine.get(neighbour.id)
    assert calm is not None and not calm.is_beset
    await rig.engine.stop(besieged.id, grace_s=0)


HOLDS = """
held = []
while True:
    held.append(s.accept()[0])
"""
CROWD = """
import socket, sys, time
held = []
for _ in range(500):
    one = socket.socket(socket.AF_UNIX)
    one.connect(sys.argv[1])
    one.sendall(b"POST / HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 1000000\\r\\n\\r\\n")
    held.append(one)
time.sleep(600)
"""
