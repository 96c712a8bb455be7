"""A pass over all names holds nobody up, and undoes nothing of what somebody changed while it looked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import anyio.from_thread
import pytest

from havre import edge
from havre.base.ids import new_app_id, new_owner_id
from havre.drivers.bwrap.door import Door
from havre.edge import act, reconcile
from havre.edge.model import Key
from havre.edge.parts import routes_of
from havre.kernel.kernel import Kernel
from tests.room.edge_rig import edge_kernel

pytestmark = pytest.mark.anyio
ONE, SHOP, OTHER = new_owner_id(), new_app_id(), new_app_id()
HOST, NEW = "shop.havre.test", "new.havre.test"


@pytest.fixture
async def kernel(store_url: str) -> AsyncIterator[Kernel]:
    async with edge_kernel(store_url) as made:
        doors = []
        for app_id in (SHOP, OTHER):
            (made.paths.run / "i" / app_id).mkdir(parents=True)
            path = edge.instance_socket(made.paths, app_id, generation=1, number=0)
            doors.append(Door(str(path), "aaaa"))
            doors[-1].open()
        await change(made, HOST, SHOP)
        yield made
        for door in doors:
            door.leave()


async def change(kernel: Kernel, fqdn: str, app_id: str, *, before: str = "") -> None:
    """Give the name to the app, as a request does that returns when it is so."""

    def write(tx: Any) -> None:
        if before:
            edge.release(tx, app_id=before, fqdn=fqdn)
        edge.claim(tx, app_id=app_id, owner_id=ONE, fqdn=fqdn)

    await kernel.store.write(write)
    await edge.reconcile_now(kernel, app_id, fqdns=[fqdn])


def everything(kernel: Kernel) -> dict[Any, str]:
    return act.seen_entries(kernel.paths.run)


@pytest.fixture
def meanwhile(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Awaitable[None]]], None]:
    """Has something done after the names were read and before the directories are, once."""

    def put(work: Callable[[], Awaitable[None]]) -> None:
        real, done = act.seen_entries, []

        def seen(*args: Any) -> dict[Any, str]:
            if not done:
                done.append(True)
                anyio.from_thread.run(work)
            return real(*args)

        monkeypatch.setattr(act, "seen_entries", seen)

    return put


@pytest.mark.parametrize("few", [0, 200], ids=["all again", "the few again"])
async def test_what_is_changed_during_a_look_at_everything_stands(
    kernel: Kernel, meanwhile: Any, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(reconcile, "FEW", few)

    async def work() -> None:
        await change(kernel, HOST, OTHER, before=SHOP)
        await change(kernel, NEW, SHOP)
        await change(kernel, "*.wild.test/a", SHOP)
        made.append(everything(kernel))

    made: list[dict[Any, str]] = []
    meanwhile(work)
    assert (await routes_of(kernel).everything()).changed == 0
    assert everything(kernel) == made[0]
    assert (kernel.paths.routes / f"{HOST}.sock").readlink().stem == OTHER
    await routes_of(kernel).everything()
    assert everything(kernel) == made[0]


@pytest.mark.parametrize("few", [0, 200], ids=["all again", "the few again"])
async def test_whatever_is_gone_or_strange_in_the_directories_is_put_right(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(reconcile, "FEW", few)
    await change(kernel, f"{HOST}/api", OTHER)
    await change(kernel, NEW, SHOP)
    for app_id in (SHOP, OTHER):
        add = partial(edge.add_redirection, app_id=app_id, owner_id=ONE, namespace="default", ports=(5001, 5002))
        await kernel.store.write(add)
    await kernel.store.write(lambda tx: edge.set_sticky(tx, app_id=OTHER, is_on=True))
    await routes_of(kernel).everything()
    wanted, run = everything(kernel), kernel.paths.run
    wanted.pop(Key("k", f"{HOST}.sock"))  # kept while it is there: part of the host is another's by now
    for key in (*wanted, Key("k", f"{HOST}.sock")):
        (act.folder(run, key.tree) / key.name).unlink()
    for strange in (
        "routes/strange.test.sock",
        "k/strange.test.sock",
        "tcp/nothing",
        "tcp/5999",
        "l/a.test.sock/=x",
        "l/a.test.sock/?",
    ):
        (run / strange).parent.mkdir(parents=True, exist_ok=True)
        (run / strange).symlink_to("elsewhere")
    (run / "slots" / "app_gone").mkdir(parents=True)
    (run / "slots" / "app_gone" / "0").symlink_to("elsewhere")
    (run / "flags" / "down" / "strange.test.sock").touch()
    assert (await routes_of(kernel).everything()).changed > 0
    assert everything(kernel) == wanted
    assert (await routes_of(kernel).everything()).changed == 0


async def test_a_look_that_finds_nothing_to_do_waits_for_nobody(kernel: Kernel) -> None:
    with act.exclusively(kernel.paths.run / "routes.lock"), anyio.fail_after(20):
        assert (await routes_of(kernel).everything()).changed == 0
