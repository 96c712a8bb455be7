"""What the steps of the apps' operations do: each finds what it made before, and can be undone.

From a commit to its release it is `releases`; here is what runs it, and what both need.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import sqlalchemy as sa
from pydantic import TypeAdapter

from havre import edge, observe
from havre.apps import (
    files,
    health,
    images,
    launchers,
    linked_tables,
    logbook,
    runtimes,
    specs,
    stacks,
    starting,
    tables,
)
from havre.apps.launch import Launch, services
from havre.apps.model import Action, App, Deployment, Instance, InstanceState
from havre.apps.packages import open_toolchains
from havre.apps.runtimes import Command, Plan
from havre.apps.stacks import Roots
from havre.apps.turns import Turns
from havre.base.errors import InvalidError, NotFoundError
from havre.base.ids import DeploymentId, InstanceId, UnitId
from havre.drivers.toolchains import Toolchain
from havre.kernel.kernel import Kernel
from havre.kernel.store import Tx

PLAN: TypeAdapter[Plan] = TypeAdapter(Plan)
LAST_LINES = 100


@dataclass(frozen=True)
class Names:
    """What a deployment's steps will make, chosen before any of it exists.

    reuse: a release built before. fetch_unit: fetches submodules. clean: the build begins without a cache.
    """

    generation: int
    build_unit: UnitId
    instances: tuple[InstanceId, ...]
    reuse: DeploymentId | None
    flavor: str = ""  # empty: the app's smallest
    fetch_unit: UnitId | None = None
    clean: bool = False

    def commands(self, plan: Plan) -> tuple[Command, ...]:
        """What the build runs: with a build of before no more than the hook that every deployment runs."""
        if self.reuse is None:
            return plan.build
        return tuple(each for each in plan.build if each.name == runtimes.PRE_BUILD)


class Work:
    """The hands of the apps room."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.toolchains = open_toolchains(kernel.paths.toolchains, kernel.config.build.packages, kernel.environment)
        self.stacks = stacks.open_stacks(kernel.paths.stacks, kernel.environment, now=kernel.clock.now)
        self.turns = Turns(kernel.config.build.at_once)

    async def read(self, app_id: str, deployment_id: str) -> tuple[App, Deployment]:
        def look(conn: sa.Connection) -> tuple[App | None, Deployment | None]:
            return tables.app(conn, app_id), tables.deployment(conn, app_id, deployment_id)

        app, deployment = await self.kernel.store.read(look)
        if app is None or deployment is None or app.deleted:
            raise NotFoundError("the app has been deleted meanwhile")
        return app, deployment

    async def current(self, app: App, deployment: Deployment) -> Deployment:
        """The deployment; one that only changes the scale is of what serves now, not of what did when it was asked."""
        if deployment.action not in (Action.UPSCALE, Action.DOWNSCALE) or app.commit_id in (None, deployment.commit_id):
            return deployment
        commit = app.commit_id
        await self.kernel.store.write(lambda tx: tables.update_deployment(tx, deployment.id, commit_id=commit))
        return (await self.read(app.id, deployment.id))[1]

    def say(self, deployment_id: str, *lines: str) -> None:
        logbook.say(self.kernel.paths, deployment_id, *lines)

    # what a release is made of, and what runs it

    def release_folder(self, app_id: str, id: str) -> Path:
        return self.kernel.paths.releases / app_id / id

    async def launch(self, app: App, deployment: Deployment, plan: Plan, *, release: str) -> Launch:
        """What instances of the deployment run. Raises InvalidError for what a variable or cron.json says wrongly."""
        folder = files.app_folder(self.release_folder(app.id, release), deployment.env)
        return await anyio.to_thread.run_sync(starting.launch_of, app, deployment, plan, folder)

    async def roots(self, deployment: Deployment, plan: Plan, *, with_build: bool, fresh: bool) -> Roots:
        """What a build and an instance of `plan` see as `/`, made if need be; the deployment's log hears of it."""

        def tell(line: str) -> None:
            self.say(deployment.id, line)

        limit_s = self.fresh_s(fresh=fresh)
        return await stacks.roots(self.stacks, plan, with_build=with_build, fresh_s=limit_s, tell=tell)

    def fresh_s(self, *, fresh: bool) -> float:
        """How old the lists of packages may be."""
        return stacks.FRESH_S if fresh else self.kernel.config.stacks.refresh_s

    async def same_stack(self, deployment: Deployment, plan: Plan, id: str) -> str:
        """The stack `id`, so that an instance's successor sees what it saw; today's when that one is gone."""
        if not id or (self.stacks is not None and self.stacks.get(id) is not None):
            return id
        return (await self.roots(deployment, plan, with_build=False, fresh=False)).run

    async def tools(self, plan: Plan, *, for_build: bool = False) -> tuple[Toolchain, ...]:
        names = (*plan.build_toolchains, *plan.toolchains) if for_build else plan.toolchains
        return tuple([await self.toolchains.ensure(name, for_build=for_build) for name in dict.fromkeys(names)])

    async def build_tree(self, deployment: Deployment, plan: Plan) -> Path | None:
        """The root of a build of `plan`, made if need be."""
        found = await self.roots(deployment, plan, with_build=True, fresh=False)
        return stacks.tree_of(self.stacks, found.build)

    def build_source(self, app: App, deployment: Deployment, unit_id: UnitId, log: Path) -> observe.LogSource:
        """The output of a unit that works on the deployment's files."""
        return observe.LogSource(
            id=unit_id,
            app_id=app.id,
            owner_id=app.owner_id,
            path=log,
            deployment_id=deployment.id,
            instance_id=unit_id,
            commit=deployment.commit_id,
            service=observe.DEPLOY_SERVICE,
        )

    async def hand_over(self, app: App, *folders: Path | None, uid: int | None = None) -> None:
        """Make the folders, where they are not there, the app's own user's, or of `uid`."""
        for each in folders:
            if each is not None:
                each.mkdir(mode=0o755, parents=True, exist_ok=True)
                if os.getuid() == 0:
                    await anyio.to_thread.run_sync(files.give, each, app.uid if uid is None else uid)

    # instances

    async def boot(self, app: App, deployment: Deployment, names: Names, plan: Plan, roots: Roots) -> None:
        """Start every instance and wait until each is healthy. Raises InvalidError when one fails."""
        _, deployment = await self.read(app.id, deployment.id)
        size = names.flavor or app.min_flavor
        made = [
            self.instance(deployment, names.generation, number, id, size=size, stack=roots.run)
            for number, id in enumerate(names.instances)
        ]
        starts = await self.launch(app, deployment, plan, release=str(deployment.release_id))
        await self.boot_all(app, deployment, made, plan, starts, told=deployment.id)

    async def boot_all(
        self,
        app: App,
        deployment: Deployment,
        instances: Sequence[Instance],
        plan: Plan,
        starts: Launch,
        *,
        told: str,
    ) -> None:
        """Start instances of `deployment`, and wait until each is healthy. told: whose log hears of it."""
        await self.kernel.store.write(lambda tx: self._add_instances(tx, app, instances, starts))
        async with anyio.create_task_group() as group:
            for each in instances:
                group.start_soon(self._boot_one, app, deployment, each, plan, starts, told)

    async def _boot_one(
        self, app: App, deployment: Deployment, instance: Instance, plan: Plan, starts: Launch, told: str
    ) -> None:
        began = self.kernel.clock.monotonic()
        await self.start_instance(app, deployment, instance, plan, starts)
        try:
            said = await self.until_healthy(deployment, instance, plan)
        except InvalidError as cause:
            await starting.tell_failed(self.kernel, instance)
            unit = await self.kernel.units.get(UnitId(instance.id))
            log = logbook.file_of(self.kernel.paths, deployment.id, instance.id)
            for line in observe.tail(log, lines=LAST_LINES):
                self.say(told, f"  {line}")
            if unit is not None and unit.exit is not None and unit.exit.oom:
                raise InvalidError(starting.out_of_memory(instance.flavor)) from cause
            raise
        took = self.kernel.clock.monotonic() - began
        self.say(told, f"Instance {instance.number} ({instance.flavor}) is up after {took:.1f} s: {said}")

    def instance(
        self, deployment: Deployment, generation: int, number: int, id: InstanceId, *, size: str, stack: str
    ) -> Instance:
        """A wanted instance of what `deployment` is; size: the name of a flavor."""
        return Instance(
            id=id,
            app_id=deployment.app_id,
            deployment_id=deployment.id,
            generation=generation,
            number=number,
            flavor=size,
            commit_id=deployment.commit_id,
            state=InstanceState.DEPLOYING,
            created_at=self.kernel.clock.now(),
            deleted_at=None,
            stack=stack,
        )

    def _add_instances(self, tx: Tx, app: App, instances: Sequence[Instance], starts: Launch) -> None:
        for each in instances:
            self.add_instance(tx, app, each, starts)

    def add_instance(self, tx: Tx, app: App, instance: Instance, starts: Launch) -> None:
        """Record that the instance is wanted and where its output will be; a repeat changes nothing."""
        if tables.instance(tx.conn, instance.id) is not None:
            return
        tables.insert_instance(tx, instance)
        for service in ("", *services(starts)):
            source = observe.LogSource(
                id=specs.source_of(instance, service),
                app_id=app.id,
                owner_id=app.owner_id,
                path=logbook.file_of(self.kernel.paths, instance.deployment_id, specs.source_of(instance, service)),
                deployment_id=instance.deployment_id,
                instance_id=instance.id,
                commit=instance.commit_id,
                service=service or observe.USER_SERVICE,
            )
            observe.add_source(tx, source)

    async def start_instance(
        self, app: App, deployment: Deployment, instance: Instance, plan: Plan, starts: Launch
    ) -> None:
        """Start the instance's unit, or find it; it accepts nothing yet."""
        if not starts.is_plain:
            folder = specs.launch_folder(self.kernel.paths, instance)
            await anyio.to_thread.run_sync(launchers.prepare, folder, starts)
        log = logbook.file_of(self.kernel.paths, deployment.id, instance.id)
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        spec = specs.instance_spec(
            paths=self.kernel.paths,
            app=app,
            deployment=deployment,
            plan=plan,
            toolchains=await self.tools(plan),
            instance=instance,
            doors=None if starts.ends else self._doors(instance),
            log=log,
            starts=starts,
            image=images.image_of(
                plan, app, self.kernel.config, self.release_folder(app.id, str(deployment.release_id))
            ),
            tree=stacks.tree_of(self.stacks, instance.stack),
        )
        await self.kernel.units.start(spec)

    def _doors(self, instance: Instance) -> specs.Doors:
        paths, app_id = self.kernel.paths, instance.app_id
        own = edge.instance_socket(paths, app_id, generation=instance.generation, number=instance.number)
        return specs.Doors(edge.app_socket(paths, app_id), edge.tcp_socket(paths, app_id), own)

    async def until_healthy(self, deployment: Deployment, instance: Instance, plan: Plan) -> str:
        kernel = self.kernel
        limit = kernel.config.apps.health_timeout_s
        return await health.wait_healthy(
            kernel.units, UnitId(instance.id), plan=plan, env=deployment.env, limit_s=limit, clock=kernel.clock
        )

    async def switch(self, app: App, deployment: Deployment, names: Names) -> None:
        """The new generation accepts, confirmed; it is recorded as the one that serves; the old one stops accepting.

        Of a homogeneous app no two versions ever answer: the old one finishes and ends first, and requests wait.
        """
        units = self.kernel.units
        await edge.expect(self.kernel, app.id)
        if app.homogeneous:
            await self._end_older(app.id, names.generation)
        for id in names.instances:
            await units.accept(UnitId(id), peers=len(names.instances) - 1)
        await self.kernel.store.write(lambda tx: self._serve(tx, app, deployment, names))
        await edge.reconcile_now(self.kernel, app.id)
        await self._quiesce(await self._older(app.id, names.generation))
        await starting.tell_succeeded(self.kernel, deployment, names.instances)

    async def _end_older(self, app_id: str, generation: int) -> None:
        config, units = self.kernel.config.apps, self.kernel.units
        instances = await self._older(app_id, generation)
        older = [UnitId(each.id) for each in instances]
        await self._quiesce(instances)
        deadline = self.kernel.clock.monotonic() + config.drain_s
        while self.kernel.clock.monotonic() < deadline and any([await units.connections(id) for id in older]):
            await self.kernel.clock.sleep(0.05)
        async with anyio.create_task_group() as group:
            for id in older:
                group.start_soon(partial(units.stop, id, grace_s=config.grace_s))

    def _serve(self, tx: Tx, app: App, deployment: Deployment, names: Names) -> None:
        values = {"serving": deployment.id, "generation": names.generation, "commit_id": deployment.commit_id}
        tables.update_app(tx, app.id, **values, deployed_at=tx.now)
        tables.set_asleep(tx, app.id, asleep=False)
        for id in names.instances:
            tables.set_instance_state(tx, id, InstanceState.UP)

    async def _older(self, app_id: str, generation: int) -> Sequence[Instance]:
        all_of_it = await self.kernel.store.read(lambda conn: tables.instances(conn, app_id=app_id))
        return [each for each in all_of_it if each.generation < generation]

    async def retire_older(self, app_id: str, generation: int) -> None:
        """Drain, stop and forget every instance of an older generation."""
        await self.retire(await self._older(app_id, generation))

    async def retire(self, instances: Sequence[Instance], *, drain: bool = True) -> None:
        ids = [each.id for each in instances]
        await self.kernel.store.write(lambda tx: _set_stopping(tx, ids))
        await self._quiesce(instances)
        async with anyio.create_task_group() as group:
            for each in instances:
                group.start_soon(self._retire_one, each.id, drain)

    async def _quiesce(self, instances: Sequence[Instance]) -> None:
        """They accept nothing any more, and no connection that is kept to one of them is used again: as soon as the
        edge knows it, each has but the requests under way to finish."""
        for each in instances:
            await self.kernel.units.quiesce(UnitId(each.id))
        for app_id in {each.app_id for each in instances}:
            await edge.reconcile_now(self.kernel, app_id)

    async def _retire_one(self, id: str, drain: bool) -> None:
        config, units, unit = self.kernel.config.apps, self.kernel.units, UnitId(id)
        deadline = self.kernel.clock.monotonic() + (config.drain_s if drain else 0)
        while self.kernel.clock.monotonic() < deadline and await units.connections(unit) > 0:
            await self.kernel.clock.sleep(0.05)
        await units.stop(unit, grace_s=config.grace_s)
        await self.kernel.store.write(lambda tx: self.end_instance(tx, id, ended_by="retired"))
        await units.forget(unit)

    def end_instance(self, tx: Tx, id: str, *, ended_by: str) -> None:
        tables.set_instance_state(tx, id, InstanceState.DELETED, ended_by=ended_by)
        observe.end_sources_of(tx, id)

    async def stop_booted(self, app_id: str, names: Names) -> None:
        """Undo a boot: what of it exists goes; what served goes on serving."""
        wanted = await self.kernel.store.read(lambda conn: tables.instances(conn, app_id=app_id))
        await self.retire([each for each in wanted if each.id in names.instances], drain=False)

    # the end of an app

    async def stop_all(self, app_id: str) -> None:
        wanted = await self.kernel.store.read(lambda conn: tables.instances(conn, app_id=app_id))
        await self.retire(wanted)
        for path in (edge.app_socket(self.kernel.paths, app_id), edge.tcp_socket(self.kernel.paths, app_id)):
            self.kernel.units.close_listener(path)

    async def remove_files(self, app_id: str) -> None:
        paths = self.kernel.paths
        deployments = await self.kernel.store.read(lambda conn: tables.deployments(conn, app_id))
        places = [paths.git / f"{app_id}.git", paths.releases / app_id, paths.cache / app_id]
        places.append(paths.data / "known-hosts" / app_id)
        places += [paths.deployments / each.id for each in deployments]
        for place in places:
            await anyio.to_thread.run_sync(files.remove, place)

    def forget_app(self, tx: Tx, app_id: str) -> None:
        app = tables.app(tx.conn, app_id)
        if app is not None:
            edge.release_all(tx, app_id)
            observe.drop_app(tx, app_id)
            linked_tables.drop_app(tx, app_id)
            tables.delete_app(tx, app_id)
            tx.emit("apps.app.deleted", owner_id=app.owner_id, subject=app_id)


def _set_stopping(tx: Tx, ids: Sequence[str]) -> None:
    for id in ids:
        tables.set_instance_state(tx, id, InstanceState.STOPPING)
