"""What connections are kept under: another name whenever other instances accept, or the name leads to another app."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from havre import edge
from havre.base.ids import new_app_id, new_owner_id
from havre.drivers.bwrap.door import Door
from havre.edge import act
from havre.edge.parts import routes_of
from havre.kernel.kernel import Kernel
from tests.room.edge_rig import edge_kernel

pytestmark = pytest.mark.anyio
ONE, SHOP, OTHER = new_owner_id(), new_app_id(), new_app_id()
HOST = "shop.havre.test"


@pytest.fixture
async def kernel(store_url: str) -> AsyncIterator[Kernel]:
    async with edge_kernel(store_url) as made:
        for app_id in (SHOP, OTHER):
            (made.paths.run / "i" / app_id).mkdir(parents=True)
        yield made


async def claim(kernel: Kernel, fqdn: str, app_id: str = SHOP) -> None:
    await kernel.store.write(lambda tx: edge.claim(tx, app_id=app_id, owner_id=ONE, fqdn=fqdn))
    await edge.reconcile_now(kernel, app_id, fqdns=[fqdn])


def door(kernel: Kernel, generation: int, number: int, tag: str = "aaaa", app_id: str = SHOP) -> Door:
    path = edge.instance_socket(kernel.paths, app_id, generation=generation, number=number)
    made = Door(str(path), tag)
    made.open()
    return made


def entries(kernel: Kernel, name: str = HOST) -> list[tuple[str, str]]:
    """What stands for `name`, with what each leads to."""
    folder = kernel.paths.run / "l" / f"{name}.sock"
    found = [each for each in folder.iterdir() if each.is_symlink()] if folder.is_dir() else []
    return sorted((each.name, each.readlink().name) for each in found)


async def test_the_name_changes_with_each_set_of_instances_and_none_comes_back(kernel: Kernel) -> None:
    first = door(kernel, 1, 0)
    await claim(kernel, HOST)
    seen = [entries(kernel)]
    doors = [door(kernel, 1, 1)]
    await edge.reconcile_now(kernel, SHOP)
    seen.append(entries(kernel))
    first.leave()
    await edge.reconcile_now(kernel, SHOP)
    seen.append(entries(kernel))
    doors.append(door(kernel, 1, 0, "bbbb"))  # a successor, with the same door
    await edge.reconcile_now(kernel, SHOP)
    seen.append(entries(kernel))
    names = [entry for each in seen for entry, _ in each]
    assert len(names) == len(set(names)) == 4 and all(name.startswith("=") for name in names)
    assert {target for each in seen for _, target in each} == {f"{SHOP}.sock"}
    await routes_of(kernel).everything()
    assert entries(kernel) == seen[-1], "a whole pass wants the same"
    for each in doors:
        each.leave()
    await routes_of(kernel).everything()
    assert entries(kernel) == [], "nobody is there or comes back"


async def test_a_name_that_moves_has_the_entry_of_its_new_app_alone(kernel: Kernel) -> None:
    doors = [door(kernel, 1, 0), door(kernel, 1, 0, app_id=OTHER)]
    await claim(kernel, HOST)
    before = entries(kernel)
    await kernel.store.write(lambda tx: edge.release(tx, app_id=SHOP, fqdn=HOST))
    await claim(kernel, HOST, OTHER)
    (now,) = entries(kernel)
    assert now[1] == f"{OTHER}.sock" and now[0] != before[0][0]
    await kernel.store.write(lambda tx: edge.release(tx, app_id=OTHER, fqdn=HOST))
    await edge.reconcile_now(kernel, OTHER, fqdns=[HOST])
    assert entries(kernel) == []
    for each in doors:
        each.leave()


def at_once(kernel: Kernel, host: str = HOST) -> tuple[str, bool]:
    """Whom visitors of `host` are led to at once, and whether they are."""
    link, flag = kernel.paths.run / "k" / f"{host}.sock", kernel.paths.run / "flags" / "long" / f"{host}.sock"
    return link.readlink().stem if link.is_symlink() else "", not flag.exists()


async def test_a_host_is_led_to_its_app_at_once_while_somebody_accepts_and_under_no_other_name(kernel: Kernel) -> None:
    await claim(kernel, HOST)
    assert at_once(kernel) == ("", False), "nobody accepts"
    doors = [door(kernel, 1, 0)]
    await edge.reconcile_now(kernel, SHOP)
    assert at_once(kernel) == (SHOP, True)
    doors.append(door(kernel, 2, 0))
    doors.pop(0).leave()
    await edge.reconcile_now(kernel, SHOP)
    assert at_once(kernel) == (SHOP, True), "whichever instances accept"
    await kernel.store.write(lambda tx: edge.set_force_https(tx, app_id=SHOP, is_on=True))
    await edge.reconcile_now(kernel, SHOP)
    assert at_once(kernel) == (SHOP, True), "this is the way over HTTPS"
    await kernel.store.write(lambda tx: edge.set_sticky(tx, app_id=SHOP, is_on=True))
    await edge.reconcile_now(kernel, SHOP)
    assert at_once(kernel) == (SHOP, False), "a sticky app's visitors go by slots"
    await kernel.store.write(lambda tx: edge.set_sticky(tx, app_id=SHOP, is_on=False))
    await claim(kernel, f"{HOST}/api", OTHER)
    assert at_once(kernel) == (SHOP, False), "part of the host is another's"
    await kernel.store.write(lambda tx: edge.release(tx, app_id=OTHER, fqdn=f"{HOST}/api"))
    await edge.reconcile_now(kernel, OTHER, fqdns=[f"{HOST}/api"])
    assert at_once(kernel) == (SHOP, True)
    doors.pop().leave()
    await edge.reconcile_now(kernel, SHOP)
    assert at_once(kernel) == (SHOP, False), "nobody accepts any more"


async def test_a_host_that_moves_is_led_nowhere_at_once_until_the_proxy_has_no_connection_of_before(
    kernel: Kernel,
) -> None:
    doors = [door(kernel, 1, 0), door(kernel, 1, 0, app_id=OTHER)]
    await claim(kernel, HOST)
    await kernel.store.write(lambda tx: edge.release(tx, app_id=SHOP, fqdn=HOST))
    await edge.reconcile_now(kernel, SHOP, fqdns=[HOST])
    assert at_once(kernel) == (SHOP, False), "it is nobody's, and connections to it may still be open"
    await claim(kernel, HOST, OTHER)
    assert at_once(kernel) == (SHOP, False)
    await routes_of(kernel).everything()
    assert at_once(kernel) == (SHOP, False)
    await kernel.store.write(lambda tx: edge.release(tx, app_id=OTHER, fqdn=HOST))
    await claim(kernel, HOST)
    assert at_once(kernel) == (SHOP, True), "back to whom it was led before"
    await kernel.store.write(lambda tx: edge.release(tx, app_id=SHOP, fqdn=HOST))
    await claim(kernel, HOST, OTHER)
    doors.pop(0).leave()  # the last instance of the app that had it, and so its last connection
    await routes_of(kernel).everything()
    assert at_once(kernel) == (OTHER, True)
    for each in doors:
        each.leave()


async def test_the_mark_says_what_need_not_be_looked_for(kernel: Kernel) -> None:
    doors = [door(kernel, 1, 0), door(kernel, 1, 0, app_id=OTHER)]
    await claim(kernel, HOST)
    assert entries(kernel)[0][0][0] == "="
    await claim(kernel, f"{HOST}/api", OTHER)
    assert entries(kernel)[0][0][0] == entries(kernel, f"{HOST}/api")[0][0][0] == "@"
    await kernel.store.write(lambda tx: edge.release(tx, app_id=OTHER, fqdn=f"{HOST}/api"))
    await edge.reconcile_now(kernel, OTHER, fqdns=[f"{HOST}/api"])
    assert entries(kernel)[0][0][0] == "="
    await kernel.store.write(lambda tx: edge.set_force_https(tx, app_id=SHOP, is_on=True))
    await edge.reconcile_now(kernel, SHOP)
    assert entries(kernel)[0][0][0] == "+"
    await kernel.store.write(lambda tx: edge.set_sticky(tx, app_id=SHOP, is_on=True))
    await edge.reconcile_now(kernel, SHOP)
    assert entries(kernel) == [], "a sticky app's visitors go by slots"
    await claim(kernel, "*.shop.test")
    await kernel.store.write(lambda tx: edge.set_sticky(tx, app_id=SHOP, is_on=False))
    await routes_of(kernel).everything()
    assert entries(kernel, "_.shop.test")[0][0][0] == "@"
    for each in doors:
        each.leave()


async def test_a_name_too_long_to_be_dialled_so_is_served_without(kernel: Kernel) -> None:
    instance = door(kernel, 1, 0)
    room = act.SOCKET_PATH_LIMIT - len(str(kernel.paths.run / "routes")) - len("/.sock")
    name = "a" * 30 + "." + "b" * (room - 31 - len(".test")) + ".test"
    await claim(kernel, name)
    assert (kernel.paths.run / "routes" / f"{name}.sock").is_symlink()
    assert entries(kernel, name) == []
    instance.leave()
