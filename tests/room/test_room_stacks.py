"""Stacks in the apps room: moved to today's, collected, remembered; on a small archive with the real apt-get."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa

from havre import governance, observe
from havre.apps import stacks as apps_stacks
from havre.apps import tables
from havre.apps.intents import Intents, NewApp
from havre.apps.model import Deployment, DeploymentState, InstanceState, Release
from havre.apps.operations import operations
from havre.apps.releases import Releases
from havre.apps.runtimes import Plan
from havre.apps.stack_garbage import collect_stacks
from havre.apps.stack_views import StackViews
from havre.apps.upgrades import Move, Upgrades
from havre.apps.work import Work
from havre.base.errors import DeniedError, InvalidError, NotFoundError
from havre.base.ids import OperationId, UserId
from havre.drivers import debian
from havre.drivers.debian import Stack
from havre.governance import Actor
from havre.kernel.config import Config, Paths
from havre.kernel.events import Bus
from havre.kernel.kernel import Kernel
from havre.kernel.operations import SCHEMA as OPERATIONS
from havre.kernel.operations import Operation, Operations, OperationView
from havre.kernel.store import Store, events_schema
from tests.driver.debian_rig import Archive
from tests.room.build_rig import a_deployment, an_app, an_instance
from tests.trials import FastClock, Trials, run_to_end

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(bool(debian.missing()), reason="this machine has no apt")]
OPERATOR = Actor(UserId("user_op"), "Op", "op@example.test", is_operator=True)
PLAN = Plan("node", ("node",), (), "node .")


@dataclass
class World:
    """One installation with the apps `shop`, which serves on the stack of alpha, and `blog`, on that of gamma."""

    archive: Archive
    kernel: Kernel
    clock: FastClock
    apps: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store, self.bus = self.kernel.store, self.kernel.bus
        self.work = Work(self.kernel)
        self.intents = Intents(self.kernel, operations(self.work))
        self.upgrades = Upgrades(self.work, self.intents)

    def operations(self, around: Any) -> Operations:
        made = Operations(store=self.store, bus=self.bus, clock=self.clock, node="n", around=around)
        idle: Operation[Any] = Operation("apps.deploy", dict, ())  # what an upgrade starts is not carried out here
        made.register((self.upgrades.operation, idle))
        return made

    async def start(self, runner: Operations) -> OperationId:
        return await self.store.write(lambda tx: self.upgrades.ask(tx, OPERATOR, (), all_of_them=True))

    async def serve(self, name: str, packages: tuple[str, ...], *, number: int = 0) -> Stack:
        """An app with one instance on the stack of `packages`, as a deploy leaves it."""
        assert self.work.stacks is not None
        plan = replace(PLAN, packages=packages)
        stack = await self.work.stacks.obtain(apps_stacks.run_packages(plan))
        app = an_app("node", name=name, uid=250_100 + len(self.apps), commit_id="c" * 40, created_at=number)
        made = replace(a_deployment(app, {"GREETING": "old"}), state=DeploymentState.OK, number=number + 1)
        made = replace(made, release_id=made.id)
        release = Release(made.id, app.id, made.commit_id, "key", asdict(plan), 1, stack.id)
        instance = replace(an_instance(app, made), state=InstanceState.UP, stack=stack.id)
        self.apps[name] = (replace(app, serving=made.id), made, release, instance)

        def write(tx: Any) -> None:
            tables.insert_app(tx, replace(app, serving=made.id))
            tables.insert_deployment(tx, made)
            tables.insert_release(tx, release)
            tables.insert_instance(tx, instance)

        await self.store.write(write)
        (self.kernel.paths.releases / app.id / made.id).mkdir(parents=True)
        return stack

    def id_of(self, name: str) -> str:
        return str(self.apps[name][0].id)

    async def deployments(self, name: str) -> list[Deployment]:
        """Those that came after the first, newest first."""
        return (await self.store.read(lambda conn: tables.deployments(conn, self.id_of(name))))[:-1]


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    base = Path(tempfile.mkdtemp(prefix="hvs ", dir="/tmp"))
    made = Archive(base)
    made.publish("alpha", "1.0", needs="libx1")
    made.publish("libx1", "1.0")
    made.publish("gamma", "1.0")
    monkeypatch.setattr(apps_stacks, "BASE", ("gamma",))
    monkeypatch.setattr(apps_stacks, "BUILD", ())
    yield made
    shutil.rmtree(base)


@asynccontextmanager
async def opened(archive: Archive, url: str) -> AsyncIterator[World]:
    base = Path(tempfile.mkdtemp(prefix="w ", dir=archive.base))
    clock, bus = FastClock(), Bus()
    store = Store.open(url, clock=clock, bus=bus)
    paths = Paths(data=base / "data", run=base / "run", toolchains=archive.base / "toolchains")
    paths.create()
    kernel = Kernel(
        config=Config(), paths=paths, clock=clock, rng=random.Random(1), store=store, bus=bus,
        operations=Operations(store=store, bus=bus, clock=clock, node="n"), units=cast(Any, None),
        environment=archive.environment,
    )  # fmt: skip
    schemas = [events_schema(), OPERATIONS, tables.SCHEMA, observe.tables.SCHEMA, governance.SCHEMA]
    await store.migrate(schemas)
    try:
        yield World(archive, kernel, clock)
    finally:
        store.close()


@pytest.fixture
async def world(archive: Archive, store_url: str) -> AsyncIterator[World]:
    async with opened(archive, store_url) as made:
        yield made


def lists_are_old(world: World) -> None:
    (world.kernel.paths.stacks / "lists.json").unlink()


async def upgrade(world: World) -> tuple[Move, ...]:
    runner = world.operations(None)
    id = await world.start(runner)
    assert (await run_to_end(runner, id)).status == "done"
    seen = await world.store.read(lambda conn: world.upgrades.view(conn, OPERATOR, id))
    assert [deployment is not None for _, deployment in seen.moves] == [bool(move.changes) for move, _ in seen.moves]
    return tuple(move for move, _ in seen.moves)


# upgrades


async def test_an_upgrade_deploys_the_apps_whose_packages_are_newer_and_no_others(world: World) -> None:
    old = await world.serve("shop", ("alpha",))
    await world.serve("blog", (), number=1)
    world.archive.publish("libx1", "1.1")
    lists_are_old(world)
    shop, blog = await upgrade(world)
    assert (shop.app_name, shop.old, shop.changes, shop.rebuilds) == ("shop", old.id, ("libx1: 1.0 -> 1.1",), False)
    assert (blog.app_name, blog.changes, blog.new) == ("blog", (), blog.old)
    assert await world.deployments("blog") == []
    made = (await world.deployments("shop"))[0]
    _, first, _, _ = world.apps["shop"]
    assert (made.cause, made.commit_id, made.env) == ("Stack upgrade", first.commit_id, first.env)


async def test_what_an_upgrade_deploys_is_the_release_that_serves_unless_a_library_is_gone(world: World) -> None:
    await world.serve("shop", ("alpha",))
    app, made, _, _ = world.apps["shop"]
    world.archive.publish("libx1", "1.1")
    lists_are_old(world)
    names = await Releases(world.work).choose(app, made, use_cache=True, fresh=True, again=made.id)
    assert names.reuse == made.id
    world.archive.publish("libx2", "2.0")
    world.archive.publish("alpha", "2.0", needs="libx2")
    lists_are_old(world)
    names = await Releases(world.work).choose(app, made, use_cache=True, fresh=True, again=made.id)
    assert names.reuse is None, "libx1 is gone: what was linked to it must be built again"
    move = (await upgrade(world))[0]
    assert move.rebuilds and "libx1: 1.0 -> gone" in move.changes


async def test_an_upgrade_without_an_archive_changes_nothing(world: World) -> None:
    await world.serve("shop", ("alpha",))
    world.archive.close()
    lists_are_old(world)
    assert [each.changes for each in await upgrade(world)] == [()]
    assert await world.deployments("shop") == []


async def test_only_an_operator_may_ask_and_only_for_an_app_that_runs(world: World) -> None:
    await world.serve("shop", ("alpha",))
    await world.serve("twin", (), number=1)
    await world.serve("twin", (), number=2)
    asking = world.upgrades.ask
    with pytest.raises(DeniedError):
        await world.store.write(
            lambda tx: asking(tx, replace(OPERATOR, is_operator=False), ("shop",), all_of_them=False)
        )
    with pytest.raises(NotFoundError, match="no app nix runs here"):
        await world.store.write(lambda tx: asking(tx, OPERATOR, ("nix",), all_of_them=False))
    with pytest.raises(InvalidError, match="2 apps are named twin"):
        await world.store.write(lambda tx: asking(tx, OPERATOR, ("twin",), all_of_them=False))
    with pytest.raises(InvalidError, match="name the apps"):
        await world.store.write(lambda tx: asking(tx, OPERATOR, (), all_of_them=False))
    await world.store.write(lambda tx: tables.update_app(tx, world.id_of("shop"), serving=None))
    with pytest.raises(NotFoundError, match="no app shop runs here"):
        await world.store.write(lambda tx: asking(tx, OPERATOR, ("shop",), all_of_them=False))


async def test_an_upgrade_that_fails_or_dies_at_any_step_deploys_each_app_once(
    archive: Archive, tmp_path: Path
) -> None:
    number = 0

    @asynccontextmanager
    async def make_world() -> AsyncIterator[World]:
        nonlocal number
        number += 1
        archive.publish("libx1", f"1.{number}")
        async with opened(archive, f"sqlite:///{tmp_path / str(number)}.db") as world:
            (world.kernel.paths.stacks / "lists.json").unlink(missing_ok=True)
            await world.serve("shop", ("alpha",))
            number += 1
            archive.publish("libx1", f"1.{number}")
            lists_are_old(world)
            yield world

    async def holds(world: World, view: OperationView) -> None:
        made = await world.deployments("shop")
        assert len(made) == (1 if view.status == "done" else 0)

    async with opened(archive, f"sqlite:///{tmp_path}/first.db") as first:
        operation = first.upgrades.operation

    trials = Trials(operation, make_world, holds)
    await trials.fail_each()
    await trials.kill_each(("begun", "ended"))


# what is kept


async def test_the_stacks_of_instances_and_releases_stay_and_others_go_when_idle(world: World) -> None:
    used = await world.serve("shop", ("alpha",))
    assert world.work.stacks is not None
    idle = await world.work.stacks.obtain(["libx1"])
    assert await collect_stacks(world.work) == 0, "nothing is idle yet"
    world.kernel = replace(world.kernel, clock=_later(world.clock, 8 * 86_400_000))
    world.__post_init__()
    assert await collect_stacks(world.work) == 1
    assert world.work.stacks is not None
    assert world.work.stacks.get(idle.id) is None and world.work.stacks.get(used.id) is not None
    app = world.apps["shop"][0]
    await world.store.write(lambda tx: tables.delete_app(tx, app.id))
    assert await collect_stacks(world.work) == 1
    assert world.work.stacks.all() == []


def _later(clock: FastClock, by_ms: int) -> FastClock:
    class Later(FastClock):
        def now(self) -> int:
            return clock.now() + by_ms

    return Later()


async def test_an_instance_that_is_replaced_keeps_its_stack_while_that_is_there(world: World) -> None:
    old = await world.serve("shop", ("alpha",))
    _, made, release, _ = world.apps["shop"]
    plan = replace(PLAN, packages=("alpha",))
    world.archive.publish("libx1", "1.1")
    lists_are_old(world)
    assert await world.work.same_stack(made, plan, old.id) == old.id
    assert await world.work.same_stack(made, plan, "") == "", "what saw the host's /usr goes on seeing it"
    shutil.rmtree(old.tree.parent)
    new = await world.work.same_stack(made, plan, old.id)
    assert new != old.id and world.work.stacks is not None and world.work.stacks.get(new) is not None
    with pytest.raises(Exception, match="is not on this machine any more"):
        apps_stacks.tree_of(world.work.stacks, release.stack)


async def test_operators_see_who_runs_on_a_stack(world: World) -> None:
    used = await world.serve("shop", ("alpha",))
    assert world.work.stacks is not None
    spare = await world.work.stacks.obtain(["libx1"])
    look = StackViews(world.work.stacks).all()
    found = {each.stack.id: each for each in await world.store.read(lambda conn: look(conn, OPERATOR))}
    assert [each.name for each in found[used.id].apps] == ["shop"] and found[used.id].is_needed
    assert found[spare.id].apps == () and not found[spare.id].is_needed
    with pytest.raises(DeniedError):
        await world.store.read(lambda conn: look(conn, replace(OPERATOR, is_operator=False)))
    with pytest.raises(NotFoundError):
        await world.store.read(lambda conn: StackViews(world.work.stacks).one("stack_0")(conn, OPERATOR))


async def test_a_kind_of_app_that_this_machine_cannot_run_is_refused_when_it_is_created(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apps_stacks, "PROGRAMS", str(world.archive.base))
    given = governance.new_credentials(world.kernel.rng)
    await world.store.write(lambda tx: governance.bootstrap(tx, given, world.kernel.rng))
    actor = replace(OPERATOR, user_id=given.user_id)
    without = Intents(world.kernel, operations(world.work), has_stacks=False)
    with pytest.raises(InvalidError, match=r"type python cannot run here: this machine has no python3; install it"):
        await world.store.write(lambda tx: without.create(tx, actor, given.owner_id, NewApp("x", "python")))


async def test_what_was_there_before_stacks_is_said_to_see_the_hosts_programs(store_url: str) -> None:
    store = Store.open(store_url, clock=FastClock(), bus=Bus())
    await store.migrate([events_schema(), replace(tables.SCHEMA, steps=tables.SCHEMA.steps[:1])])

    def as_it_was(tx: Any) -> None:
        for table in ("instance", "app_release"):
            tx.conn.execute(sa.text(f"ALTER TABLE {table} DROP COLUMN stack"))
        values = {each.name: 1 if isinstance(each.type, sa.Integer) else "x" for each in tables.APP.columns}
        tx.conn.execute(
            sa.insert(tables.APP).values(
                **values
                | {
                    "id": "app",
                    "deleted": False,
                    **dict.fromkeys(
                        ("separate_build", "sticky_sessions", "homogeneous", "cancel_on_push", "force_https"), False
                    ),
                }
            )
        )
        tx.conn.execute(
            sa.text("INSERT INTO app_release (id, app_id, commit_id, key, plan) VALUES ('r', 'app', 'c', 'k', '{}')")
        )

    await store.write(as_it_was)
    await store.migrate([tables.SCHEMA])
    found = await store.read(lambda conn: tables.release(conn, "r"))
    assert found is not None and found.stack == ""
    store.close()
