"""The apps room's operations through their trials: each step failed, repeated and killed, on real sandboxes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from havre import daemon, governance
from havre.apps import Apps, NewApp, tables
from havre.apps.model import App, AppState, Deployment, DeploymentState, InstanceState
from havre.apps.scaling import Change, Scale
from havre.base.ids import OperationId, UnitId
from havre.drivers import git
from havre.governance import Actor
from havre.kernel.config import AppsConfig, Config, EdgeConfig, Paths
from havre.kernel.events import Bus
from havre.kernel.kernel import Kernel
from havre.kernel.operations import SCHEMA, Operation, Operations, OperationView
from havre.kernel.store import Store, Tx, events_schema
from tests.trials import FastClock, Trials, run_to_end

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]
CONFIG = Config(
    edge=EdgeConfig(base_domain="trial.localhost"),
    apps=AppsConfig(health_timeout_s=30.0, drain_s=1.0, grace_s=2.0, sandbox_network="10.214.0.0/16"),
)
Act = Callable[["AppsWorld", Apps, Tx], Any]


@dataclass
class AppsWorld:
    """One installation without a door: its store, its rooms and one app, changed by the operation under trial."""

    paths: Paths
    kernel: Kernel
    actor: Actor
    owner_id: str
    act: Act
    app: App | None = None
    before: Deployment | None = None
    commits: int = 0
    faces: list[Apps] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return self.kernel.store

    @property
    def bus(self) -> Bus:
        return self.kernel.bus

    def operations(self, around: Any) -> Operations:
        """A new runner, engine and rooms on the same directories, as a restarted process makes them."""
        made = Operations(store=self.store, bus=self.bus, clock=self.kernel.clock, node="n", around=around)
        kernel = replace(
            self.kernel, operations=made, units=daemon.units.open_units(CONFIG, self.paths, clock=self.kernel.clock),
            metrics=type(self.kernel.metrics)(),
        )  # fmt: skip
        rooms, face = daemon.build_rooms(kernel)
        for room in rooms:
            made.register(room.operations)
        self.faces.append(face)
        return made

    async def start(self, operations: Operations) -> OperationId:
        """Ask for the operation under trial, of an app that serves."""
        await self.deployed()
        face = self.faces[-1]
        await self.commit()
        await self.store.write(lambda tx: self.act(self, face, tx))
        live = await self.store.read(operations.live)
        return live[-1].id

    async def commit(self) -> str:
        """A new commit in the app's repository, as a push leaves it."""
        assert self.app is not None
        self.commits += 1
        bare = self.paths.git / f"{self.app.id}.git"
        if not bare.exists():
            await git.init(bare)
        work = self.paths.data / "work"
        work.mkdir(exist_ok=True)
        (work / "index.html").write_text(f"version {self.commits}")
        who = ["-c", "user.name=Dev", "-c", "user.email=dev@example.test"]
        for args in (["init", "-q", "-b", "master"], ["add", "-A"], [*who, "commit", "-q", "-m", "x"]):
            await anyio.run_process(["git", *args], cwd=work, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
        found = await anyio.run_process(["git", "rev-parse", "HEAD"], cwd=work)
        await anyio.run_process(["git", "push", "-q", "-f", str(bare), "master"], cwd=work, stderr=subprocess.STDOUT)
        return found.stdout.decode().strip()

    async def deployed(self) -> None:
        """The app serves; made and deployed when the last trial took it away."""
        operations = self.operations(None)
        face = self.faces[-1]
        if self.app is None or await self.store.read(lambda conn: tables.app(conn, self.id)) is None:
            new = NewApp("site", "static")
            self.app = await self.store.write(lambda tx: face.intents.create(tx, self.actor, self.owner_id, new))
            await self.store.write(
                lambda tx: face.intents.set_env(
                    tx, self.actor, self.owner_id, self.id, {"CC_PRE_BUILD_HOOK": "true"}
                )
            )  # fmt: skip
        row = await self.row()
        if row.serving is None:
            sha = await self.commit()
            await self.store.write(lambda tx: face.intents.push_received(tx, self.actor, self.id, sha))
            view = await run_to_end(operations, (await self.store.read(operations.live))[-1].id, limit_s=60)
            assert view.status == "done", view
        row = await self.row()
        self.before = await self.store.read(lambda conn: tables.deployment(conn, self.id, str(row.serving)))

    @property
    def id(self) -> str:
        assert self.app is not None
        return self.app.id

    async def row(self) -> App:
        found = await self.store.read(lambda conn: tables.app(conn, self.id))
        assert found is not None
        return found

    async def answer(self) -> str:
        """What a visitor gets at the app's socket."""
        with anyio.fail_after(20):
            async with await anyio.connect_unix(str(self.paths.app_sockets / f"{self.id}.sock")) as stream:
                await stream.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                said = b""
                while True:
                    try:
                        said += await stream.receive()
                    except anyio.EndOfStream:
                        return said.decode().partition("\r\n\r\n")[2]


@pytest.fixture
async def shared() -> AsyncIterator[AppsWorld]:
    """One installation for all trials of a test: each trial finds what the one before has left."""
    base = Path(tempfile.mkdtemp(prefix="hvo ", dir="/tmp"))
    paths = Paths(base / "data", base / "run", Path(sys.prefix) / "share" / "havre" / "toolchains")
    paths.create()
    kernel = replace(daemon.build_kernel(CONFIG, paths), clock=FastClock())
    rooms, _ = daemon.build_rooms(kernel)
    await kernel.store.migrate([events_schema(), SCHEMA, *[room.schema for room in rooms if room.schema]])
    credentials = governance.new_credentials(kernel.rng)
    await kernel.store.write(lambda tx: governance.bootstrap(tx, credentials, kernel.rng))
    actor = Actor(credentials.user_id, credentials.name, credentials.email)
    made = AppsWorld(paths, kernel, actor, credentials.owner_id, act=lambda world, face, tx: None)
    try:
        yield made
    finally:
        for unit in await kernel.units.seen():
            await kernel.units.stop(unit.id, grace_s=0)
        kernel.units.stop_helpers()
        kernel.store.close()
        shutil.rmtree(base, ignore_errors=True)


def operation_of(world: AppsWorld, kind: str) -> Operation[Any]:
    world.operations(None)
    intents = world.faces[-1].intents
    found: Operation[Any] = getattr(intents._operations, kind)
    return found


async def trials(world: AppsWorld, kind: str, act: Act, holds: Any, *, only: tuple[str, ...] = ()) -> None:
    world.act = act

    @asynccontextmanager
    async def make_world() -> AsyncIterator[AppsWorld]:
        yield world

    made = Trials(operation_of(world, kind), make_world, holds, only, limit_s=60)
    await made.plain()
    await made.fail_each()
    await made.kill_each()


async def units_of(world: AppsWorld) -> list[str]:
    return [unit.id for unit in await world.kernel.units.seen() if unit.state != "exited"]


async def test_a_deploy_serves_the_new_version_or_leaves_the_old_one(shared: AppsWorld) -> None:
    def push(world: AppsWorld, face: Apps, tx: Tx) -> None:
        head = (world.paths.git / f"{world.id}.git" / "refs" / "heads" / "master").read_text().strip()
        face.intents.push_received(tx, world.actor, world.id, head)

    async def holds(world: AppsWorld, view: OperationView) -> None:
        assert world.before is not None
        row = await world.row()
        made = (await world.store.read(lambda conn: tables.deployments(conn, world.id)))[0]
        if view.status == "done":
            assert (row.serving, made.state) == (made.id, DeploymentState.OK)
            assert await world.answer() == f"version {world.commits}"
        else:
            assert (row.serving, made.state) == (world.before.id, DeploymentState.FAIL)
            assert "the trial failed step" in made.error
            assert (await world.answer()).startswith("version ")
            assert not (world.paths.releases / world.id / made.id).exists(), "what was half made is gone"
        wanted = await world.store.read(lambda conn: tables.instances(conn, app_id=world.id))
        assert [each.state for each in wanted] == [InstanceState.UP]
        assert await units_of(world) == [wanted[0].id], "nothing else runs"

    await trials(shared, "deploy", push, holds)


async def test_a_stop_ends_every_instance(shared: AppsWorld) -> None:
    def stop(world: AppsWorld, face: Apps, tx: Tx) -> None:
        face.intents.stop(tx, world.actor, world.owner_id, world.id)

    async def holds(world: AppsWorld, view: OperationView) -> None:
        assert view.status == "done"
        assert ((await world.row()).state, await units_of(world)) == (AppState.SHOULD_BE_DOWN, [])

    await trials(shared, "undeploy", stop, holds)


async def test_a_delete_leaves_nothing_of_the_app(shared: AppsWorld) -> None:
    def delete(world: AppsWorld, face: Apps, tx: Tx) -> None:
        face.intents.delete(tx, world.actor, world.owner_id, world.id)

    async def holds(world: AppsWorld, view: OperationView) -> None:
        assert view.status == "done"
        assert await world.store.read(lambda conn: tables.app(conn, world.id)) is None
        assert await units_of(world) == []
        paths = world.paths
        left = [paths.git / f"{world.id}.git", paths.releases / world.id, paths.cache / world.id]
        assert [each for each in left if each.exists()] == []

    await trials(shared, "delete", delete, holds)


async def test_another_scale_is_taken_whole_or_not_at_all(shared: AppsWorld) -> None:
    wanted: list[Scale] = []

    async def present(world: AppsWorld) -> Scale:
        row = await world.row()
        up = await world.store.read(lambda conn: tables.serving(conn, row))
        return Scale(len(up), up[0].flavor if up else "")

    def scale(world: AppsWorld, face: Apps, tx: Tx) -> None:
        app = tables.app(tx.conn, world.id)
        assert app is not None
        tables.update_app(tx, world.id, max_instances=2, max_flavor="S")
        app = tables.app(tx.conn, world.id)
        up = tables.serving(tx.conn, app)  # type: ignore[arg-type]
        wanted[:] = [Scale(len(up), up[0].flavor), {1: Scale(2, "S"), 2: Scale(1, "XS")}[len(up)]]
        made = face.intents.scale(tx, world.actor, app, Change(wanted[1], "of a trial"), cause="Scaling")  # type: ignore[arg-type]
        assert made is not None

    async def holds(world: AppsWorld, view: OperationView) -> None:
        before, after = wanted
        made = (await world.store.read(lambda conn: tables.deployments(conn, world.id)))[0]
        is_done = view.status == "done"
        assert made.state == (DeploymentState.OK if is_done else DeploymentState.FAIL)
        assert await present(world) == (after if is_done else before)
        wanted_now = await world.store.read(lambda conn: tables.instances(conn, app_id=world.id))
        assert sorted(await units_of(world)) == sorted(each.id for each in wanted_now), "nothing else runs"
        assert (await world.answer()).startswith("version ")
        for each in wanted_now:
            unit = await world.kernel.units.get(UnitId(each.id))
            assert unit is not None and unit.accepting

    await trials(shared, "scale", scale, holds)


async def test_an_app_falls_asleep_with_its_socket_open_and_wakes(shared: AppsWorld) -> None:
    await shared.deployed()
    operations = shared.operations(None)

    async def take(change: Change) -> None:
        face = shared.faces[-1]
        app = await shared.row()
        made = await shared.store.write(
            lambda tx: face.intents.scale(tx, shared.actor, app, change, cause="Monitoring/Scaling")
        )
        assert made is not None
        view = await run_to_end(operations, (await shared.store.read(operations.live))[-1].id, limit_s=60)
        assert view.status == "done", view

    await take(Change(Scale(0, ""), "no request came"))
    assert await units_of(shared) == []
    assert await shared.store.read(tables.asleep) == {shared.id}
    answers: list[str] = []

    async def visit() -> None:
        answers.append(await shared.answer())

    async with anyio.create_task_group() as group:
        group.start_soon(visit)
        await take(Change(Scale(1, "XS"), "a request came"))
    assert answers[0].startswith("version ") and await shared.store.read(tables.asleep) == frozenset()


async def test_a_task_runs_once_and_then_nothing_runs(shared: AppsWorld) -> None:
    """The steps that it shares with a deploy have their trials there."""

    def push(world: AppsWorld, face: Apps, tx: Tx) -> None:
        head = (world.paths.git / f"{world.id}.git" / "refs" / "heads" / "master").read_text().strip()
        for name, value in {"CC_TASK": "true", "CC_RUN_COMMAND": "echo it runs; exit 0"}.items():
            face.intents.put_env(tx, world.actor, world.owner_id, world.id, name, value)
        face.intents.push_received(tx, world.actor, world.id, head)
        for name in ("CC_TASK", "CC_RUN_COMMAND"):
            face.intents.drop_env(tx, world.actor, world.owner_id, world.id, name)

    async def holds(world: AppsWorld, view: OperationView) -> None:
        row = await world.row()
        made = (await world.store.read(lambda conn: tables.deployments(conn, world.id)))[0]
        ran = [file.read_text() for file in (world.paths.deployments / made.id).glob("*-*.log")]
        assert ran == ["it runs\n"]
        if view.status == "done":
            assert (row.serving, row.state, made.state) == (None, AppState.SHOULD_BE_DOWN, DeploymentState.OK)
            assert await units_of(world) == []
        else:
            assert (row.state, made.state) == (AppState.SHOULD_BE_UP, DeploymentState.FAIL)
            assert (await world.answer()).startswith("version "), "what it served before is left alone"

    await trials(shared, "task", push, holds, only=("run", "finish"))
