"""Who is there: apps that start, sleep or are gone, visitors that stay with an instance, and TCP redirections."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import pytest

from havre import edge
from havre.base.errors import ExhaustedError, InvalidError, NotFoundError
from havre.base.ids import new_app_id, new_owner_id
from havre.drivers.bwrap.door import Door
from havre.drivers.caddy import STICKY_SLOTS
from havre.edge import act
from havre.edge.parts import routes_of
from havre.kernel.kernel import Kernel
from havre.kernel.reconcile import Pass
from tests.ports import free_ports
from tests.room.edge_rig import Visitors, edge_kernel, running_room

pytestmark = pytest.mark.anyio
ONE, SHOP = new_owner_id(), new_app_id()
NAME = "shop.havre.test.sock"


@pytest.fixture
async def kernel(store_url: str) -> AsyncIterator[Kernel]:
    async with edge_kernel(store_url, start_within_s=30.0) as made:
        await made.store.write(lambda tx: edge.claim(tx, app_id=SHOP, owner_id=ONE, fqdn="shop.havre.test"))
        (made.paths.run / "i" / SHOP).mkdir(parents=True)
        yield made


async def whole_pass(kernel: Kernel, *, ahead_s: float = 0) -> Pass:
    kernel.clock.ahead_ms += int(ahead_s * 1000)  # type: ignore[attr-defined]
    return await routes_of(kernel).everything()


def is_down(kernel: Kernel) -> bool:
    return (kernel.paths.run / "flags" / "down" / NAME).exists()


@contextmanager
def held(kernel: Kernel) -> Iterator[None]:
    """The app's own socket, where visitors wait; bound as the engine binds it."""
    place = edge.app_socket(kernel.paths, SHOP)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"{place}.new")
        made.listen()
        os.rename(f"{place}.new", place)
        yield
    place.unlink()


def door(kernel: Kernel, generation: int, number: int) -> Door:
    path = edge.instance_socket(kernel.paths, SHOP, generation=generation, number=number)
    return Door(str(path), f"{generation}{number}aaaa")


async def test_who_starts_is_waited_for_then_given_up_then_waited_for_again(kernel: Kernel) -> None:
    await whole_pass(kernel)
    assert is_down(kernel), "nobody was ever there"
    with held(kernel):
        done = await whole_pass(kernel)
        assert not is_down(kernel) and done.again_s is not None and done.again_s <= 30
        await whole_pass(kernel, ahead_s=15)
        assert not is_down(kernel)
        await whole_pass(kernel, ahead_s=16)
        assert is_down(kernel)
        await edge.reconcile_now(kernel, SHOP, fqdns=["shop.havre.test"])
        assert is_down(kernel), "a look at one name forgets nothing"
        await whole_pass(kernel, ahead_s=60)
        assert not is_down(kernel), "the next visitor may call it again"
    await whole_pass(kernel)
    assert is_down(kernel)


@pytest.mark.parametrize("jump_s", [-86_400, -3_600, 3_600, 86_400])
async def test_a_clock_that_jumps_neither_gives_up_for_ever_nor_waits_for_ever(kernel: Kernel, jump_s: int) -> None:
    with held(kernel):
        await whole_pass(kernel)
        done = await whole_pass(kernel, ahead_s=jump_s)
        done = await whole_pass(kernel)
        assert not is_down(kernel) and done.again_s is not None and done.again_s <= 30, "it is waited for from now on"
        await whole_pass(kernel, ahead_s=31)
        assert is_down(kernel)


async def test_who_is_expected_or_accepts_is_not_down(kernel: Kernel) -> None:
    with held(kernel):
        await whole_pass(kernel)
        await whole_pass(kernel, ahead_s=31)
        assert is_down(kernel)
        await edge.expect(kernel, SHOP)
        assert not is_down(kernel)
        await whole_pass(kernel, ahead_s=1)
        assert not is_down(kernel), "it is waited for from now on"
        await whole_pass(kernel, ahead_s=31)
        assert is_down(kernel)
        instance = door(kernel, 1, 0)
        instance.open()
        await edge.reconcile_now(kernel, SHOP)
        assert not is_down(kernel)
        instance.shut()
        instance.socket.close()


async def test_who_is_expected_during_a_look_at_everything_is_not_given_up_by_it(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = act.seen_entries

    def seen(run: Path, *args: Any) -> Any:
        monkeypatch.setattr(act, "seen_entries", real)
        anyio.from_thread.run(edge.expect, kernel, SHOP)
        return real(run, *args)

    with held(kernel):
        await whole_pass(kernel)
        await whole_pass(kernel, ahead_s=31)
        assert is_down(kernel)
        # there is something to do for the app's name
        await kernel.store.write(lambda tx: edge.set_force_https(tx, app_id=SHOP, is_on=True))
        monkeypatch.setattr(act, "seen_entries", seen)
        assert (await whole_pass(kernel)).changed > 0
        assert not is_down(kernel)


async def test_an_app_that_sleeps_is_not_given_up(kernel: Kernel) -> None:
    assert isinstance(kernel.units, Visitors)
    kernel.units.count = 0
    with held(kernel):
        for _ in range(4):
            await whole_pass(kernel, ahead_s=100)
            assert not is_down(kernel)
        kernel.units.count = 1
        await whole_pass(kernel)
        await whole_pass(kernel, ahead_s=31)
        assert is_down(kernel), "somebody called, and nobody came"


async def test_slots_lead_to_the_newest_instances_that_accept(kernel: Kernel) -> None:
    await kernel.store.write(lambda tx: edge.set_sticky(tx, app_id=SHOP, is_on=True))
    slots, run = kernel.paths.run / "slots" / SHOP, kernel.paths.run
    doors = {(generation, number): door(kernel, generation, number) for generation in (1, 2) for number in (0, 1)}

    def led() -> set[str]:
        return {os.readlink(slots / each).rpartition("/")[2] for each in STICKY_SLOTS} if slots.exists() else set()

    with held(kernel):
        for number in (0, 1):
            doors[1, number].open()
        await edge.reconcile_now(kernel, SHOP)
        assert led() == {"1-0.sock", "1-1.sock"}
        before = {each: os.readlink(slots / each)[-6:] for each in STICKY_SLOTS}
        assert (run / "flags" / "sticky" / NAME).exists()
        assert all((run / "s" / NAME / each).is_socket() for each in STICKY_SLOTS)
        for number in (0, 1):
            doors[2, number].open()
        await edge.reconcile_now(kernel, SHOP)
        assert led() == {"2-0.sock", "2-1.sock"}
        assert {each: os.readlink(slots / each)[-6:] for each in STICKY_SLOTS} == before, "each stays with its number"
        doors[2, 1].shut()
        await edge.reconcile_now(kernel, SHOP)
        assert led() == set(), "there is only one to go to"
        doors[2, 1].open()
        await kernel.store.write(lambda tx: edge.set_sticky(tx, app_id=SHOP, is_on=False))
        await whole_pass(kernel)
        assert led() == set() and not (run / "flags" / "sticky" / NAME).exists() and not (run / "s" / NAME).exists()
    for each in doors.values():
        each.leave()
        each.socket.close()


async def test_what_a_killed_instance_left_is_not_taken_for_it_and_collected(kernel: Kernel) -> None:
    killed, alive = door(kernel, 1, 0), door(kernel, 1, 1)
    for each in (killed, alive):
        each.open()
    killed.socket.close()
    with held(kernel):
        _, accepting = act.listening_sockets(kernel.paths.run)
        assert accepting == {SHOP: ("1-1.sock",)}
        await whole_pass(kernel)
    assert {each.name for each in (kernel.paths.run / "i" / SHOP).iterdir()} == {"1-1.sock", "1-1.11aaaa"}
    successor = Door(killed.path, "other")
    successor.open()
    assert act.listening_sockets(kernel.paths.run)[1] == {SHOP: ("1-0.sock", "1-1.sock")}
    for each in (alive, successor):
        each.leave()
        each.socket.close()


async def test_units_of_before_there_were_doors_are_taken_to_accept(kernel: Kernel) -> None:
    (kernel.paths.run / "i" / SHOP).rmdir()
    with held(kernel):
        await whole_pass(kernel)
        await whole_pass(kernel, ahead_s=1000)
        assert not is_down(kernel)


# TCP redirections


async def add(kernel: Kernel, ports: tuple[int, int], *, app_id: str = SHOP, taken: tuple[int, ...] = ()) -> int:
    made = await kernel.store.write(
        lambda tx: edge.add_redirection(tx, app_id=app_id, owner_id=ONE, namespace="default", ports=ports, taken=taken)
    )
    return made.port


async def test_each_redirection_has_a_port_of_its_own_until_it_is_taken_away(kernel: Kernel) -> None:
    other = new_app_id()
    assert await add(kernel, (5001, 5003)) == 5001
    assert await add(kernel, (5001, 5003), app_id=other, taken=(5002,)) == 5003
    with pytest.raises(ExhaustedError, match="no port is free between 5001 and 5003"):
        await add(kernel, (5001, 5003), taken=(5002,))
    for wrong in ({"namespace": "cleverapps", "port": 5001}, {"namespace": "default", "port": 5003}):
        with pytest.raises(NotFoundError):
            await kernel.store.write(lambda tx, told=wrong: edge.remove_redirection(tx, app_id=SHOP, **told))  # type: ignore[misc,arg-type]
    with pytest.raises(InvalidError, match="there is no namespace 'x'"):
        await kernel.store.write(
            lambda tx: edge.add_redirection(tx, app_id=SHOP, owner_id=ONE, namespace="x", ports=(5001, 5003))
        )
    await whole_pass(kernel)
    folder = kernel.paths.run / "tcp"
    assert {each.name: os.readlink(each) for each in folder.iterdir()} == {
        "5001": f"../apps/{SHOP}.tcp", "5003": f"../apps/{other}.tcp",
    }  # fmt: skip
    await kernel.store.write(lambda tx: edge.remove_redirection(tx, app_id=SHOP, namespace="default", port=5001))
    await kernel.store.write(lambda tx: edge.release_all(tx, other))
    await whole_pass(kernel)
    assert list(folder.iterdir()) == []


async def test_a_redirection_leads_somewhere_when_it_is_answered_and_nowhere_when_it_is_removed() -> None:
    async with edge_kernel() as kernel, running_room(kernel) as room:
        await kernel.store.write(lambda tx: edge.claim(tx, app_id=SHOP, owner_id=ONE, fqdn="shop.havre.test"))
        port = free_ports(1)[0]
        assert await add(kernel, (port, port)) == port
        await edge.reconcile_now(kernel, SHOP, ports=[port])
        with taker(edge.tcp_socket(kernel.paths, SHOP)):
            async with await anyio.connect_tcp("127.0.0.1", port) as client:
                assert await client.receive() == b"taken"
        await kernel.store.write(lambda tx: edge.remove_redirection(tx, app_id=SHOP, namespace="default", port=port))
        await edge.reconcile_now(kernel, ports=[port])
        with pytest.raises(OSError):
            await anyio.connect_tcp("127.0.0.1", port)
        with socket.create_server(("127.0.0.1", 0)) as stranger:
            held_port = stranger.getsockname()[1]
            await add(kernel, (held_port, held_port))
            with pytest.raises(Exception, match="cannot be listened on"):
                await edge.reconcile_now(kernel, SHOP, ports=[held_port])
            assert room.health is not None
            with anyio.fail_after(20):
                while "cannot listen" not in (await room.health()).error:
                    kernel.bus.wake("edge.look")
                    await anyio.sleep(0.05)


@contextmanager
def taker(path: Path) -> Iterator[None]:
    """An instance that takes one connection and says so."""
    import threading

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def take() -> None:
            way, _ = listener.accept()
            _, fds, _, _ = socket.recv_fds(way, 1, 1)
            way.close()
            with socket.socket(fileno=fds[0]) as connection:
                connection.sendall(b"taken")

        thread = threading.Thread(target=take)
        thread.start()
        yield
        thread.join(20)
