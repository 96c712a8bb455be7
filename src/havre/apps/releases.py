"""From a commit to its release: ids first, then the files, the plan, the stack and the build.

As with all of `work`, each step finds what it made before, and can be undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import anyio.to_thread

from havre import observe
from havre.apps import (
    bounds,
    decide,
    files,
    images,
    keys,
    launch,
    logbook,
    runtimes,
    scaling,
    sources,
    specs,
    stacks,
    starting,
    tables,
)
from havre.apps.model import App, Deployment, Release
from havre.apps.runtimes import Plan
from havre.apps.scaling import Scale
from havre.apps.stacks import Roots
from havre.apps.work import PLAN, Names, Work
from havre.base.errors import ConflictError, InvalidError
from havre.base.flavors import flavor
from havre.base.ids import UnitId, new_instance_id
from havre.kernel.store import Tx


class Releases:
    """The hands of `operations.Builds`, which says when each step is due."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._kernel = work.kernel

    async def choose(
        self, app: App, deployment: Deployment, *, use_cache: bool, fresh: bool = False, again: str = ""
    ) -> Names:
        """again: a release to serve as it is, if it runs on today's stack. fresh: today's, whatever the age of the
        lists of packages that we have."""
        reuse = None
        if again or (use_cache and not runtimes.is_true(deployment.env.get("CC_DISABLE_BUILD_CACHE_UPLOAD"))):
            key = _release_key(app, deployment)
            built = await self._kernel.store.read(lambda conn: tables.releases(conn, app.id))
            for each in built:
                is_same = each.id == again if again else each.key == key
                is_there = is_same and each.built_at and (self._work.release_folder(app.id, each.id)).is_dir()
                if is_there and await self._runs_on_today(each, fresh=fresh):
                    reuse = each.id
                    break
        scale = scaling.bounds_of(app).nearest(await self.scale_of(app))
        count = 1 if decide.is_task(app.lifetime, deployment.env) else scale.instances
        ids = tuple(new_instance_id() for _ in range(count))
        units = [UnitId(new_instance_id()) for _ in range(2)]
        generation = app.generation + 1
        return Names(generation, units[0], ids, reuse, scale.flavor, fetch_unit=units[1], clean=not use_cache)

    async def scale_of(self, app: App) -> Scale:
        """How many instances of which flavor serve the app now."""
        up = await self._kernel.store.read(lambda conn: tables.serving(conn, app))
        return Scale(len(up), up[0].flavor if up else app.min_flavor)

    async def fetch(self, app: App, deployment: Deployment, names: Names) -> None:
        if names.reuse is not None:
            self._work.say(deployment.id, f"Using the build of {names.reuse} (same commit, same build settings)")
        if names.reuse is None or deployment.env.get(runtimes.PRE_BUILD, "").strip():
            await sources.fetch(self._work, app, deployment, names.fetch_unit or names.build_unit)

    async def drop_release(self, app_id: str, deployment_id: str, names: Names) -> None:
        if names.fetch_unit is not None:
            await self.stop_unit(names.fetch_unit)
        await anyio.to_thread.run_sync(files.remove, self._work.release_folder(app_id, deployment_id))
        await self._kernel.store.write(lambda tx: tables.delete_release(tx, deployment_id))

    async def detect(self, app: App, deployment: Deployment, names: Names) -> Plan:
        plan, said = await self._planned(app, deployment, names)
        starts = await self._work.launch(app, deployment, plan, release=names.reuse or deployment.id)
        keys.key_of(
            deployment.env,
            files.app_folder(self._work.release_folder(app.id, names.reuse or deployment.id), deployment.env),
        )
        self._work.say(deployment.id, *said, *launch.describe(starts))
        return plan

    async def _planned(self, app: App, deployment: Deployment, names: Names) -> tuple[Plan, Sequence[str]]:
        """The plan, and what the log says of it."""
        if names.reuse is not None:
            reuse = names.reuse
            found = await self._kernel.store.read(lambda conn: tables.release(conn, reuse))
            if found is None:
                raise ConflictError("the build that was to be used has been collected; deploy again")
            return PLAN.validate_python(found.plan), ()
        folder = files.app_folder(self._work.release_folder(app.id, deployment.id), deployment.env)
        tree = await anyio.to_thread.run_sync(runtimes.read_tree, folder)
        memory = flavor(app.max_flavor).memory_mib
        plan = runtimes.detect(app.runtime, tree, deployment.env, memory_mib=memory)
        notes = [f"Note: {each}" for each in plan.notes]
        start = plan.start or "as the image says"
        return plan, (f"Detected: {plan.runtime}; start: {start}", *runtimes.told_flow(plan), *notes)

    async def _runs_on_today(self, release: Release, *, fresh: bool) -> bool:
        """Whether what was built before runs on the stack that its packages have today."""
        plan = PLAN.validate_python(release.plan)
        return await stacks.may_run(self._work.stacks, release.stack, plan, fresh_s=self._work.fresh_s(fresh=fresh))

    async def stack(self, app: App, deployment: Deployment, names: Names, plan: Plan, *, fresh: bool = False) -> Roots:
        """The roots of the build and of the instances, made if need be."""
        with_build = bool(names.commands(plan))
        found = await self._work.roots(deployment, plan, with_build=with_build, fresh=fresh)
        self._work.say(deployment.id, *stacks.describe(self._work.stacks, found))
        return found

    async def build(self, app: App, deployment: Deployment, names: Names, plan: Plan, roots: Roots) -> None:
        """Run the build to its end; adopted when it runs already. Raises InvalidError with its last lines."""
        if deployment.release_id is None:
            await self._build(app, deployment, names, plan, roots)
        await self._kernel.units.forget(names.build_unit)
        if names.reuse is not None:  # what the hook ran on
            await anyio.to_thread.run_sync(files.remove, self._work.release_folder(app.id, deployment.id))

    async def _build(self, app: App, deployment: Deployment, names: Names, plan: Plan, roots: Roots) -> None:
        kernel, paths = self._kernel, self._kernel.paths
        if names.commands(plan):
            log = logbook.file_of(paths, deployment.id, "build")
            source = self._work.build_source(app, deployment, names.build_unit, log)
            await kernel.store.write(lambda tx: observe.add_source(tx, source))
            is_running = await kernel.units.get(names.build_unit) is not None
            async with self._work.turns.one(is_running=is_running, tell=partial(self._work.say, deployment.id)):
                if not is_running:
                    await self._start_build(
                        app, deployment, names, plan, log, stacks.tree_of(self._work.stacks, roots.build)
                    )
                ended = await kernel.units.wait(names.build_unit)
            await kernel.store.write(lambda tx: observe.end_source(tx, names.build_unit))
            if not ended.is_success:
                hint = starting.larger_build(app, kernel.config) if ended.oom else ""
                raise InvalidError(f"build failed: {bounds.last_words(log, ended)}{hint}")
        key = _release_key(app, deployment)
        facts = (deployment.id, app.id, deployment.commit_id, key, asdict(plan), kernel.clock.now(), roots.run)

        def record(tx: Tx) -> None:
            if names.reuse is None:
                tables.insert_release(tx, Release(*facts))
            tables.update_deployment(tx, deployment.id, release_id=names.reuse or deployment.id)

        await kernel.store.write(record)

    async def _start_build(
        self, app: App, deployment: Deployment, names: Names, plan: Plan, log: Path, tree: Path | None
    ) -> None:
        kernel, paths = self._kernel, self._kernel.paths
        toolchains = await self._work.tools(plan, for_build=True)
        place = self._work.release_folder(app.id, deployment.id)
        folder = paths.deployments / deployment.id / "build"
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        files.write_for_sandbox(folder / "build.sh", specs.build_script(names.commands(plan)))
        source = files.app_folder(place, deployment.env)
        own_key = keys.key_of(deployment.env, source)
        key = await anyio.to_thread.run_sync(specs.cache_key, plan, toolchains, source)
        if names.clean:
            await anyio.to_thread.run_sync(files.remove, paths.cache / app.id)
        cache = await anyio.to_thread.run_sync(files.open_cache, paths.cache / app.id, key)
        known = keys.known_hosts(paths, app) if own_key is not None else None
        if plan.image:
            await self._work.hand_over(app, place, known, uid=images.users(app, kernel.config).first)
            images.give_cache(app, kernel.config, cache)
        else:
            await self._work.hand_over(app, place, cache, known)
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
            key=own_key,
        )
        await kernel.units.start(spec)

    async def stop_build(self, names: Names) -> None:
        await self.stop_unit(names.build_unit)

    async def stop_unit(self, id: UnitId) -> None:
        """End a build's unit and all that is known of it. Idempotent."""
        await self._kernel.units.stop(id, grace_s=2)
        await self._kernel.store.write(lambda tx: observe.end_source(tx, id))
        await self._kernel.units.forget(id)


def _release_key(app: App, deployment: Deployment) -> str:
    is_task = decide.is_task(app.lifetime, deployment.env)
    return specs.release_key(deployment.commit_id, deployment.env, app.runtime, is_task=is_task)
