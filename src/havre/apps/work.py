"""What the steps of the apps' operations do: each finds what it made before, and can be undone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio
import anyio.to_thread
import sqlalchemy as sa
from pydantic import TypeAdapter

from havre import edge, observe
from havre.apps import files, health, images, logbook, runtimes, specs, stacks, tables
from havre.apps.model import App, Deployment, Instance, InstanceState, Release
from havre.apps.runtimes import Plan
from havre.apps.stacks import Roots
from havre.base.errors import ConflictError, InvalidError, NotFoundError
from havre.base.flavors import flavor
from havre.base.ids import DeploymentId, InstanceId, UnitId, new_instance_id
from havre.drivers import git
from havre.drivers.toolchains import Toolchain, Toolchains
from havre.kernel.kernel import Kernel
from havre.kernel.store import Tx

PLAN: TypeAdapter[Plan] = TypeAdapter(Plan)
LAST_LINES = 100


@dataclass(frozen=True)
class Names:
    """What a deployment's steps will make, chosen before any of it exists. `reuse`: a release built before."""

    generation: int
    build_unit: UnitId
    instances: tuple[InstanceId, ...]
    reuse: DeploymentId | None


class Work:
    """The hands of the apps room."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.toolchains = Toolchains(kernel.paths.toolchains, kernel.environment)
        self.stacks = stacks.open_stacks(kernel.paths.stacks, kernel.environment, now=kernel.clock.now)

    async def read(self, app_id: str, deployment_id: str) -> tuple[App, Deployment]:
        def look(conn: sa.Connection) -> tuple[App | None, Deployment | None]:
            return tables.app(conn, app_id), tables.deployment(conn, app_id, deployment_id)

        app, deployment = await self.kernel.store.read(look)
        if app is None or deployment is None or app.deleted:
            raise NotFoundError("the app has been deleted meanwhile")
        return app, deployment

    def say(self, deployment_id: str, *lines: str) -> None:
        logbook.say(self.kernel.paths, deployment_id, *lines)

    # name

    async def choose(
        self, app: App, deployment: Deployment, *, use_cache: bool, fresh: bool = False, again: str = ""
    ) -> Names:
        """again: a release to serve as it is, if it runs on today's stack. fresh: today's, whatever the age of the
        lists of packages that we have."""
        reuse = None
        if again or (use_cache and not runtimes.is_true(deployment.env.get("CC_DISABLE_BUILD_CACHE_UPLOAD"))):
            key = specs.release_key(deployment.commit_id, deployment.env, app.runtime)
            built = await self.kernel.store.read(lambda conn: tables.releases(conn, app.id))
            for each in built:
                is_same = each.id == again if again else each.key == key
                is_there = is_same and each.built_at and (self._release(app.id, each.id)).is_dir()
                if is_there and await self._runs_on_today(each, fresh=fresh):
                    reuse = each.id
                    break
        count = app.min_instances
        ids = tuple(new_instance_id() for _ in range(count))
        return Names(app.generation + 1, UnitId(new_instance_id()), ids, reuse)

    # fetch, detect, build

    def _release(self, app_id: str, id: str) -> Path:
        return self.kernel.paths.releases / app_id / id

    async def fetch(self, app: App, deployment: Deployment, names: Names) -> None:
        if names.reuse is not None:
            self.say(deployment.id, f"Using the build of {names.reuse} (same commit, same build settings)")
            return
        place = self._release(app.id, deployment.id)
        await anyio.to_thread.run_sync(shutil.rmtree, place, True)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        repository = self.kernel.paths.git / f"{app.id}.git"
        limit = self.kernel.config.build.release_bytes
        await git.checkout(repository, deployment.commit_id, place, limit_bytes=limit)
        if (place / ".gitmodules").exists() and not runtimes.is_true(deployment.env.get("CC_DISABLE_GIT_SUBMODULES")):
            self.say(deployment.id, "Note: git submodules are not fetched by this installation yet")

    async def drop_release(self, app_id: str, deployment_id: str, names: Names) -> None:
        if names.reuse is None:
            await anyio.to_thread.run_sync(shutil.rmtree, self._release(app_id, deployment_id), True)
            await self.kernel.store.write(lambda tx: tables.delete_release(tx, deployment_id))

    async def detect(self, app: App, deployment: Deployment, names: Names) -> Plan:
        if names.reuse is not None:
            reuse = names.reuse
            found = await self.kernel.store.read(lambda conn: tables.release(conn, reuse))
            if found is None:
                raise ConflictError("the build that was to be used has been collected; deploy again")
            return PLAN.validate_python(found.plan)
        folder = self._release(app.id, deployment.id)
        inside = deployment.env.get("APP_FOLDER", "").strip("/")
        if inside:
            folder = files.inside(folder, inside)
            if not folder.is_dir():
                raise InvalidError(f"APP_FOLDER={inside} is not a folder of the repository")
        tree = await anyio.to_thread.run_sync(runtimes.read_tree, folder)
        memory = flavor(app.max_flavor).memory_mib
        plan = runtimes.detect(app.runtime, tree, deployment.env, memory_mib=memory)
        self.say(
            deployment.id,
            f"Detected: {plan.runtime}; start: {plan.start}",
            *runtimes.told_flow(plan),
            *(f"Note: {each}" for each in plan.notes),
        )
        return plan

    # stack

    async def _runs_on_today(self, release: Release, *, fresh: bool) -> bool:
        """Whether what was built before runs on the stack that its packages have today."""
        plan = PLAN.validate_python(release.plan)
        return await stacks.may_run(self.stacks, release.stack, plan, fresh_s=self._fresh_s(fresh=fresh))

    async def stack(self, app: App, deployment: Deployment, names: Names, plan: Plan, *, fresh: bool = False) -> Roots:
        """The roots of the build and of the instances, made if need be."""
        with_build = names.reuse is None and bool(plan.build)
        found = await self._obtain(deployment, plan, with_build=with_build, fresh=fresh)
        self.say(deployment.id, *stacks.describe(self.stacks, found))
        return found

    async def _obtain(self, deployment: Deployment, plan: Plan, *, with_build: bool, fresh: bool) -> Roots:
        def tell(line: str) -> None:
            self.say(deployment.id, line)

        limit_s = self._fresh_s(fresh=fresh)
        return await stacks.roots(self.stacks, plan, with_build=with_build, fresh_s=limit_s, tell=tell)

    def _fresh_s(self, *, fresh: bool) -> float:
        """How old the lists of packages may be."""
        return stacks.FRESH_S if fresh else self.kernel.config.stacks.refresh_s

    async def same_stack(self, deployment: Deployment, plan: Plan, id: str) -> str:
        """The stack `id`, so that an instance's successor sees what it saw; today's when that one is gone."""
        if not id or (self.stacks is not None and self.stacks.get(id) is not None):
            return id
        return (await self._obtain(deployment, plan, with_build=False, fresh=False)).run

    async def tools(self, plan: Plan) -> tuple[Toolchain, ...]:
        return tuple([await self.toolchains.ensure(name) for name in plan.toolchains])

    async def build(self, app: App, deployment: Deployment, names: Names, plan: Plan, roots: Roots) -> None:
        """Run the build to its end; adopted when it runs already. Raises InvalidError with its last lines."""
        kernel, paths = self.kernel, self.kernel.paths
        if names.reuse is None and plan.build:
            log = logbook.file_of(paths, deployment.id, "build")
            await kernel.store.write(lambda tx: self._add_build_source(tx, app, deployment, names, log))
            if await kernel.units.get(names.build_unit) is None:
                await self._start_build(app, deployment, names, plan, log, stacks.tree_of(self.stacks, roots.build))
            ended = await kernel.units.wait(names.build_unit)
            await kernel.store.write(lambda tx: observe.end_source(tx, names.build_unit))
            if not ended.is_success:
                last = [line for line in observe.tail(log, lines=30) if line.strip()]
                said = last[-1] if last else ""
                what = f"{ended}" if ended.oom or ended.deadline or ended.code is None else said or f"{ended}"
                raise InvalidError(f"build failed: {what}")
            await kernel.units.forget(names.build_unit)
        if names.reuse is None:
            key = specs.release_key(deployment.commit_id, deployment.env, app.runtime)
            facts = (deployment.id, app.id, deployment.commit_id, key, asdict(plan), kernel.clock.now(), roots.run)
            made = Release(*facts)
            await kernel.store.write(lambda tx: tables.insert_release(tx, made))
        release = names.reuse or deployment.id
        await kernel.store.write(lambda tx: tables.update_deployment(tx, deployment.id, release_id=release))

    def _add_build_source(self, tx: Tx, app: App, deployment: Deployment, names: Names, log: Path) -> None:
        source = observe.LogSource(
            id=names.build_unit,
            app_id=app.id,
            owner_id=app.owner_id,
            path=log,
            deployment_id=deployment.id,
            instance_id=names.build_unit,
            commit=deployment.commit_id,
            service=observe.DEPLOY_SERVICE,
        )
        observe.add_source(tx, source)

    async def _start_build(
        self, app: App, deployment: Deployment, names: Names, plan: Plan, log: Path, tree: Path | None
    ) -> None:
        kernel, paths = self.kernel, self.kernel.paths
        toolchains = await self.tools(plan)
        place = self._release(app.id, deployment.id)
        folder = paths.deployments / deployment.id / "build"
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        (folder / "build.sh").write_text(specs.build_script(plan.build))
        (folder / "build.sh").chmod(0o644)
        source = files.inside(place, deployment.env.get("APP_FOLDER", "").strip("/"))
        key = await anyio.to_thread.run_sync(specs.cache_key, plan, toolchains, source)
        cache = await anyio.to_thread.run_sync(files.open_cache, paths.cache / app.id, key)
        if os.getuid() == 0:
            await anyio.to_thread.run_sync(images.give, plan, app, kernel.config, place, cache)
        spec = specs.build_spec(
            config=kernel.config,
            paths=paths,
            host=kernel.environment,
            app=app,
            deployment=deployment,
            plan=plan,
            toolchains=toolchains,
            unit_id=names.build_unit,
            cache=cache,
            log=log,
            tree=tree,
        )
        await kernel.units.start(spec)

    async def stop_build(self, names: Names) -> None:
        await self.kernel.units.stop(names.build_unit, grace_s=2)
        await self.kernel.store.write(lambda tx: observe.end_source(tx, names.build_unit))
        await self.kernel.units.forget(names.build_unit)

    # instances

    async def boot(self, app: App, deployment: Deployment, names: Names, plan: Plan, roots: Roots) -> None:
        """Start every instance and wait until each is healthy. Raises InvalidError when one fails."""
        _, deployment = await self.read(app.id, deployment.id)
        made = [
            self._instance(app, deployment, names.generation, number, id, roots.run)
            for number, id in enumerate(names.instances)
        ]
        await self.kernel.store.write(lambda tx: self._add_instances(tx, app, made))
        async with anyio.create_task_group() as group:
            for each in made:
                group.start_soon(self._boot_one, app, deployment, each, plan)

    async def _boot_one(self, app: App, deployment: Deployment, instance: Instance, plan: Plan) -> None:
        began = self.kernel.clock.monotonic()
        await self.start_instance(app, deployment, instance, plan)
        try:
            said = await self.until_healthy(deployment, instance, plan)
        except InvalidError as cause:
            unit = await self.kernel.units.get(UnitId(instance.id))
            log = logbook.file_of(self.kernel.paths, deployment.id, instance.id)
            for line in observe.tail(log, lines=LAST_LINES):
                self.say(deployment.id, f"  {line}")
            if unit is not None and unit.exit is not None and unit.exit.oom:
                raise InvalidError(f"{_out_of_memory(instance.flavor)}") from cause
            raise
        took = self.kernel.clock.monotonic() - began
        self.say(deployment.id, f"Instance {instance.number} ({instance.flavor}) is up after {took:.1f} s: {said}")

    def _instance(
        self, app: App, deployment: Deployment, generation: int, number: int, id: InstanceId, stack: str
    ) -> Instance:
        return Instance(
            id=id,
            app_id=app.id,
            deployment_id=deployment.id,
            generation=generation,
            number=number,
            flavor=app.min_flavor,
            commit_id=deployment.commit_id,
            state=InstanceState.DEPLOYING,
            created_at=self.kernel.clock.now(),
            deleted_at=None,
            stack=stack,
        )

    def _add_instances(self, tx: Tx, app: App, instances: Sequence[Instance]) -> None:
        for each in instances:
            self.add_instance(tx, app, each)

    def add_instance(self, tx: Tx, app: App, instance: Instance) -> None:
        """Record that the instance is wanted and where its output will be; a repeat changes nothing."""
        if tables.instance(tx.conn, instance.id) is not None:
            return
        tables.insert_instance(tx, instance)
        source = observe.LogSource(
            id=instance.id,
            app_id=app.id,
            owner_id=app.owner_id,
            path=logbook.file_of(self.kernel.paths, instance.deployment_id, instance.id),
            deployment_id=instance.deployment_id,
            instance_id=instance.id,
            commit=instance.commit_id,
        )
        observe.add_source(tx, source)

    async def start_instance(self, app: App, deployment: Deployment, instance: Instance, plan: Plan) -> None:
        log = logbook.file_of(self.kernel.paths, deployment.id, instance.id)
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        spec = specs.instance_spec(
            paths=self.kernel.paths,
            app=app,
            deployment=deployment,
            plan=plan,
            toolchains=await self.tools(plan),
            instance=instance,
            listen=edge.app_socket(self.kernel.paths, app.id),
            log=log,
            image=images.image_of(
                plan, app, self.kernel.config, self._release(app.id, deployment.release_id or deployment.id)
            ),
            tree=stacks.tree_of(self.stacks, instance.stack),
        )
        await self.kernel.units.start(spec)

    async def until_healthy(self, deployment: Deployment, instance: Instance, plan: Plan) -> str:
        kernel = self.kernel
        limit = kernel.config.apps.health_timeout_s
        return await health.wait_healthy(
            kernel.units, UnitId(instance.id), plan=plan, env=deployment.env, limit_s=limit, clock=kernel.clock
        )

    async def switch(self, app: App, deployment: Deployment, names: Names) -> None:
        """The new generation accepts, confirmed; it is recorded as the one that serves; the old one stops accepting."""
        units = self.kernel.units
        for id in names.instances:
            await units.accept(UnitId(id))
        await self.kernel.store.write(lambda tx: self._serve(tx, app, deployment, names))
        await edge.reconcile_now(self.kernel)
        for each in await self._older(app.id, names.generation):
            await units.quiesce(UnitId(each.id))

    def _serve(self, tx: Tx, app: App, deployment: Deployment, names: Names) -> None:
        values = {"serving": deployment.id, "generation": names.generation, "commit_id": deployment.commit_id}
        tables.update_app(tx, app.id, **values, deployed_at=tx.now)
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
        async with anyio.create_task_group() as group:
            for each in instances:
                group.start_soon(self._retire_one, each.id, drain)

    async def _retire_one(self, id: str, drain: bool) -> None:
        config, units, unit = self.kernel.config.apps, self.kernel.units, UnitId(id)
        await units.quiesce(unit)
        deadline = self.kernel.clock.monotonic() + (config.drain_s if drain else 0)
        while self.kernel.clock.monotonic() < deadline and await units.in_flight(unit) > 0:
            await self.kernel.clock.sleep(0.05)
        await units.stop(unit, grace_s=config.grace_s)
        await self.kernel.store.write(lambda tx: self.end_instance(tx, id, ended_by="retired"))
        await units.forget(unit)

    def end_instance(self, tx: Tx, id: str, *, ended_by: str) -> None:
        tables.set_instance_state(tx, id, InstanceState.DELETED, ended_by=ended_by)
        observe.end_source(tx, id)

    async def stop_booted(self, app_id: str, names: Names) -> None:
        """Undo a boot: what of it exists goes; what served goes on serving."""
        wanted = await self.kernel.store.read(lambda conn: tables.instances(conn, app_id=app_id))
        await self.retire([each for each in wanted if each.id in names.instances], drain=False)

    # the end of an app

    async def stop_all(self, app_id: str) -> None:
        wanted = await self.kernel.store.read(lambda conn: tables.instances(conn, app_id=app_id))
        await self.retire(wanted)
        self.kernel.units.close_listener(edge.app_socket(self.kernel.paths, app_id))

    async def remove_files(self, app_id: str) -> None:
        paths = self.kernel.paths
        deployments = await self.kernel.store.read(lambda conn: tables.deployments(conn, app_id))
        places = [paths.git / f"{app_id}.git", paths.releases / app_id, paths.cache / app_id]
        places += [paths.deployments / each.id for each in deployments]
        for place in places:
            await anyio.to_thread.run_sync(shutil.rmtree, place, True)

    def forget_app(self, tx: Tx, app_id: str) -> None:
        app = tables.app(tx.conn, app_id)
        if app is not None:
            edge.release_all(tx, app_id)
            observe.drop_app(tx, app_id)
            tables.delete_app(tx, app_id)
            tx.emit("apps.app.deleted", owner_id=app.owner_id, subject=app_id)


def _set_stopping(tx: Tx, ids: Sequence[str]) -> None:
    for id in ids:
        tables.set_instance_state(tx, id, InstanceState.STOPPING)


def _out_of_memory(name: str) -> str:
    from havre.base.flavors import FLAVORS, rank

    bigger = FLAVORS[rank(name) + 1].name if rank(name) + 1 < len(FLAVORS) else None
    hint = f"; take flavor {bigger} (clever scale --flavor {bigger})" if bigger else ""
    return f"out of memory: the app needs more than flavor {name} has{hint}"
