"""The edge on the real store and file system; Caddy only where the room is started."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from sqlalchemy import Connection

from havre import edge
from havre.base.errors import ConflictError, InvalidError, NotFoundError
from havre.base.ids import new_app_id, new_owner_id
from havre.drivers import caddy
from havre.edge import tables
from havre.edge.model import Domain
from havre.edge.parts import routes_of
from havre.kernel.events import events_after
from havre.kernel.kernel import Kernel
from tests.room.edge_rig import edge_kernel, run_room

pytestmark = pytest.mark.anyio
ONE, TWO = new_owner_id(), new_owner_id()
SHOP, BLOG = new_app_id(), new_app_id()


@pytest.fixture
async def kernel(store_url: str) -> AsyncIterator[Kernel]:
    async with edge_kernel(store_url) as made:
        yield made


async def claim(kernel: Kernel, fqdn: str, *, app_id: str = SHOP, owner_id: str = ONE) -> edge.Vhost:
    return await kernel.store.write(lambda tx: edge.claim(tx, app_id=app_id, owner_id=owner_id, fqdn=fqdn))


async def reconcile(kernel: Kernel) -> None:
    await routes_of(kernel).everything()


async def names(kernel: Kernel, app_id: str = SHOP) -> list[str]:
    return [each.fqdn for each in await kernel.store.read(lambda conn: edge.vhosts(conn, app_id))]


def files(kernel: Kernel) -> set[str]:
    run = kernel.paths.run
    found = {str(each.relative_to(run)) for each in (run / "routes").rglob("*.sock")}
    return found | {str(each.relative_to(run)) for each in (run / "flags").rglob("*.sock")}


# names


async def test_a_name_is_claimed_once_and_again_by_its_app_is_no_error(kernel: Kernel) -> None:
    first = await claim(kernel, "Shop.havre.test/")
    assert (first.fqdn, first.is_default, first.is_favourite) == ("shop.havre.test", True, False)
    assert await claim(kernel, "shop.havre.test") == first
    assert (await claim(kernel, "www.shop.test")).is_default is False
    assert await names(kernel) == ["shop.havre.test", "www.shop.test"]
    events = await kernel.store.read(lambda conn: events_after(conn, 0))
    assert [(each.name, each.owner_id, each.subject) for each in events] == [("edge.vhost.claimed", ONE, SHOP)] * 2


@pytest.mark.parametrize(
    ("held", "asked"),
    [
        ("www.shop.test", "www.shop.test"),
        ("www.shop.test", "WWW.shop.test/api"),
        ("www.shop.test/api", "www.shop.test"),
        ("*.shop.test", "www.shop.test"),
        ("www.shop.test", "*.shop.test"),
        ("*.shop.test", "*.shop.test/api"),
        ("shop.havre.test", "shop.havre.test"),
    ],
)
async def test_what_another_owner_has_is_taken(kernel: Kernel, held: str, asked: str) -> None:
    await claim(kernel, held)
    with pytest.raises(ConflictError, match="is already taken"):
        await claim(kernel, asked, app_id=BLOG, owner_id=TWO)
    assert await names(kernel, BLOG) == []


async def test_another_app_of_the_owner_may_have_a_part_of_a_host_but_not_the_same_name(kernel: Kernel) -> None:
    await claim(kernel, "www.shop.test")
    await claim(kernel, "www.shop.test/blog", app_id=BLOG)
    with pytest.raises(ConflictError, match="is already taken"):
        await claim(kernel, "www.shop.test", app_id=BLOG)


async def test_names_of_the_platform_and_deep_ones_are_refused(kernel: Kernel) -> None:
    for fqdn in ("api.havre.test", "console.havre.test/x", "havre.test", "localhost", "a.b.havre.test", "*.havre.test"):
        with pytest.raises(InvalidError, match="is invalid"):
            await claim(kernel, fqdn)
    longest = "x" * 60 + "." + "y" * 60 + ".test"
    with pytest.raises(InvalidError, match="longer than"):
        await claim(kernel, longest)


async def test_two_who_claim_at_once_do_not_both_get_it(kernel: Kernel) -> None:
    got: list[str] = []

    async def attempt(app_id: str, owner_id: str) -> None:
        try:
            await claim(kernel, "www.shop.test", app_id=app_id, owner_id=owner_id)
            got.append(app_id)
        except ConflictError:
            pass

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(attempt, new_app_id(), new_owner_id())
    assert len(got) == 1


async def test_a_name_is_released_only_by_its_app(kernel: Kernel) -> None:
    await claim(kernel, "www.shop.test/Api")
    for app_id, fqdn in ((BLOG, "www.shop.test/Api"), (SHOP, "www.shop.test"), (SHOP, "www.shop.test/api")):
        with pytest.raises(NotFoundError):
            await kernel.store.write(lambda tx, a=app_id, f=fqdn: edge.release(tx, app_id=a, fqdn=f))
    await kernel.store.write(lambda tx: edge.release(tx, app_id=SHOP, fqdn="WWW.shop.test/Api/"))
    assert await names(kernel) == []


async def test_one_name_is_the_favourite(kernel: Kernel) -> None:
    store = kernel.store
    for fqdn in ("shop.havre.test", "www.shop.test"):
        await claim(kernel, fqdn)
    assert await store.read(lambda conn: edge.favourite(conn, SHOP)) is None
    for fqdn in ("shop.havre.test", "www.shop.test"):
        chosen = await store.write(lambda tx, f=fqdn: edge.set_favourite(tx, app_id=SHOP, fqdn=f))
        assert chosen.is_favourite
        found = await store.read(lambda conn: edge.favourite(conn, SHOP))
        assert found is not None and found.fqdn == fqdn
    with pytest.raises(NotFoundError):
        await store.write(lambda tx: edge.set_favourite(tx, app_id=BLOG, fqdn="www.shop.test"))
    await store.write(lambda tx: edge.unset_favourite(tx, app_id=SHOP))
    assert await store.read(lambda conn: edge.favourite(conn, SHOP)) is None


async def test_an_app_gets_a_free_name_of_its_own(kernel: Kernel) -> None:
    def default(name: str, app_id: str = SHOP) -> Any:
        return kernel.store.read(lambda conn: edge.default_fqdn(conn, app_id, name))

    digits = SHOP.removeprefix("app_").replace("-", "")
    assert await default("My Shop!") == "my-shop.havre.test"
    assert await default("API") == f"api-{digits[:6]}.havre.test"
    assert await default("日本") == "app.havre.test"
    await claim(kernel, "my-shop.havre.test", app_id=BLOG)
    assert await default("My Shop!") == f"my-shop-{digits[:6]}.havre.test"
    await claim(kernel, await default("y" * 200))
    await claim(kernel, await default("y" * 200))


async def test_a_request_is_given_to_the_app_that_serves_it(kernel: Kernel) -> None:
    site, api, wild = new_app_id(), new_app_id(), new_app_id()
    for fqdn, app_id in (("www.a.test", site), ("www.a.test/api", api), ("*.a.test", wild)):
        await claim(kernel, fqdn, app_id=app_id)

    def ask(conn: Connection) -> list[str | None]:
        asked = [("WWW.a.test:8443", "/"), ("www.a.test", "/api/x?y"), ("www.a.test", "/apix"), ("x.a.test", "/api")]
        asked += [("a.test", "/"), ("../x", "/"), ("www.a.test", "/..%2fapi"), ("www.a.test", "/%61pi")]
        return [edge.app_of_host(conn, host, path) for host, path in asked]

    assert await kernel.store.read(ask) == [site, api, site, wild, None, None, site, api]


# routes


async def test_what_is_claimed_is_routed_and_what_is_released_is_not(kernel: Kernel) -> None:
    for fqdn in ("shop.havre.test", "www.shop.test/api", "*.shop.test"):
        await claim(kernel, fqdn)
    await reconcile(kernel)
    file_names = ("shop.havre.test.sock", "www.shop.test/api.sock", "_.shop.test.sock")
    trees = ("routes", "flags/known", "flags/down")
    closed = {f"flags/long/{host}.sock" for host in ("shop.havre.test", "www.shop.test")}
    assert files(kernel) == {f"{tree}/{name}" for tree in trees for name in file_names} | closed
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(edge.app_socket(kernel.paths, SHOP)))
    listening.listen()
    for name in file_names:
        assert (kernel.paths.routes / name).samefile(edge.app_socket(kernel.paths, SHOP))
    await reconcile(kernel)
    assert not any(each.startswith("flags/down") for each in files(kernel))
    listening.close()
    await kernel.store.write(lambda tx: edge.release_all(tx, SHOP))
    await reconcile(kernel)
    assert files(kernel) == set()
    assert list(kernel.paths.routes.iterdir()) == []


async def test_https_is_forced_for_all_names_of_an_app_and_for_new_ones(kernel: Kernel) -> None:
    await claim(kernel, "shop.havre.test")
    for is_on in (True, True, False, False, True):
        await kernel.store.write(lambda tx, on=is_on: edge.set_force_https(tx, app_id=SHOP, is_on=on))
        assert await kernel.store.read(lambda conn: edge.is_https_forced(conn, SHOP)) is is_on
    await claim(kernel, "www.shop.test")
    await reconcile(kernel)
    forced = {each for each in files(kernel) if each.startswith("flags/force")}
    assert forced == {"flags/force-https/shop.havre.test.sock", "flags/force-https/www.shop.test.sock"}


async def test_after_a_reboot_and_after_tampering_everything_is_made_again(kernel: Kernel) -> None:
    await claim(kernel, "shop.havre.test")
    await claim(kernel, "www.shop.test/api")
    await reconcile(kernel)
    before = files(kernel)
    shutil.rmtree(kernel.paths.run)
    kernel.paths.create()
    await reconcile(kernel)
    assert files(kernel) == before
    route = kernel.paths.routes / "shop.havre.test.sock"
    route.unlink()
    route.symlink_to("/etc/passwd")
    (kernel.paths.routes / "stray.test.sock").symlink_to("../apps/x.sock")
    await reconcile(kernel)
    assert files(kernel) == before
    assert os.readlink(route) == f"../apps/{SHOP}.sock"


async def test_an_older_view_never_overtakes_a_newer_one(kernel: Kernel) -> None:
    """Many passes at once, while names come and go: the last state is what stands in the end."""

    async def change(n: int) -> None:
        await claim(kernel, f"n{n}.shop.test")
        await reconcile(kernel)
        if n % 2:
            await kernel.store.write(lambda tx: edge.release(tx, app_id=SHOP, fqdn=f"n{n}.shop.test"))
            await reconcile(kernel)

    async with anyio.create_task_group() as group:
        for n in range(10):
            group.start_soon(change, n)
    assert {each for each in files(kernel) if each.startswith("routes")} == {
        f"routes/n{n}.shop.test.sock" for n in range(0, 10, 2)
    }


# the whole room


async def test_the_room_starts_caddy_routes_by_event_and_leaves_caddy_behind(kernel: Kernel) -> None:
    room = edge.setup(kernel)
    try:
        assert room.start is not None and room.health is not None
        await room.start()
        assert (await room.health()).error == ""
        assert await kernel.store.read(tables.domain) == edge.domain_of(kernel) != Domain("havre.test")
        root = await edge.root_certificate(kernel.paths, clock=kernel.clock)
        assert root.startswith(b"-----BEGIN CERTIFICATE") and edge.ca_file(kernel.paths).read_bytes() == root
        async with anyio.create_task_group() as group:
            group.start_soon(run_room, room, kernel)
            await api_answers(kernel)
            await claim(kernel, "shop.havre.test")
            with anyio.fail_after(20):  # sooner than the timer would have it
                while not (kernel.paths.routes / "shop.havre.test.sock").is_symlink():
                    await anyio.sleep(0.01)
            first = caddy_at_work(kernel)
            assert first is not None
            os.kill(first, 9)
            with anyio.fail_after(30):
                while kernel.loops.states["edge.proxy"].passes == 0:  # all of it: what is said to the new one, too
                    await anyio.sleep(0.01)
            assert caddy_at_work(kernel) not in (None, first)
            assert kernel.metrics.get_sample_value("havre_edge_proxy_starts_total") == 2
            group.cancel_scope.cancel()
        assert "caddy_" in await edge.proxy_metrics(kernel)
    finally:
        with anyio.CancelScope(shield=True):
            await caddy.stop(kernel.paths.edge)
    assert (await room.health()).error
    await caddy.stop(kernel.paths.edge)


def caddy_at_work(kernel: Kernel) -> int | None:
    try:
        record = json.loads((kernel.paths.edge / "loaded.json").read_text())
    except FileNotFoundError:
        return None
    pid: int = record["identity"][0]
    return pid


async def api_answers(kernel: Kernel) -> None:
    """`answers` is about the control plane: false without one, true with one, whatever it says."""

    async def answer(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}")

    listener = await anyio.create_unix_listener(kernel.paths.run / "api.sock")
    async with anyio.create_task_group() as group:
        group.start_soon(listener.serve, answer)
        assert await edge.answers(kernel)
        group.cancel_scope.cancel()
    await listener.aclose()
