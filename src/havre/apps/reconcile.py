"""Brings the instances that should live to life, and collects what nobody needs any more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
import sqlalchemy as sa
import structlog

from havre import observe
from havre.apps import decide, files, tables
from havre.apps.model import Instance, InstanceState
from havre.apps.stack_garbage import collect_stacks
from havre.apps.starts import Starts
from havre.apps.toolchain_garbage import collect_toolchains
from havre.apps.watch import Watch
from havre.apps.work import Work
from havre.base.errors import HavreError
from havre.base.ids import UnitId
from havre.kernel.reconcile import Pass
from havre.kernel.store import Tx

log = structlog.get_logger()
ACTS_AT_ONCE = 8
INSTANCES_KEPT_MS = 30 * 86_400_000
INSTANCES_KEPT = 200
DEPLOYMENT_LOGS_KEPT = 20


@dataclass(frozen=True)
class _State:
    wanted: list[Instance]
    busy: frozenset[str]
    crashes: dict[str, list[int]]
    loads: dict[str, float]


class Reconcile:
    """The loops of the apps room."""

    def __init__(self, work: Work, watch: Watch) -> None:
        self._work = work
        self._kernel = work.kernel
        self._watch = watch
        self.starts = Starts(work, watch)

    async def instances(self) -> Pass:
        """One pass: have replaced what has ended, admit what does not accept, remove what nobody wants."""
        kernel = self._kernel
        state = await kernel.store.read(self._read)
        seen = await kernel.units.seen()
        again = await kernel.store.read(self._read)  # an operation that began meanwhile owns what it has made
        steps = decide.decide_instances(
            again.wanted,
            seen,
            now=kernel.clock.now(),
            busy=state.busy | again.busy,
            crashes=again.crashes,
            hung=self._watch.hung,
            booting=self.starts.booting,
        )
        self.starts.ask([step for step in steps if isinstance(step, decide.Replace)], again.loads)
        limiter = anyio.CapacityLimiter(ACTS_AT_ONCE)
        async with anyio.create_task_group() as group:
            for step in steps:
                if isinstance(step, decide.Admit | decide.Remove):
                    group.start_soon(self._act, step, limiter)
        waits = [step.ms / 1000 for step in steps if isinstance(step, decide.Wait)]
        return Pass(wanted=len(again.wanted), changed=len(steps), again_s=min(waits, default=None))

    def _read(self, conn: sa.Connection) -> _State:
        live = self._kernel.operations.live(conn)
        busy = frozenset(each.key for each in live)
        wanted = tables.instances(conn)
        crashes = tables.crashes_since(conn, self._kernel.clock.now() - decide.CRASH_WINDOW_MS)
        return _State(wanted, busy, crashes, tables.loads(conn))

    async def _act(self, step: decide.Admit | decide.Remove, limiter: anyio.CapacityLimiter) -> None:
        async with limiter:
            try:
                if isinstance(step, decide.Admit):
                    await self._kernel.units.accept(UnitId(step.instance.id), peers=step.peers)
                else:
                    await self._remove(UnitId(step.unit.id))
            except HavreError as error:
                log.warning("apps.instance.act_failed", step=type(step).__name__, error=error.message)

    async def _remove(self, id: UnitId) -> None:
        kernel = self._kernel
        unit = await kernel.units.get(id)
        if unit is None or unit.labels.get("app") in {
            each.key for each in await kernel.store.read(kernel.operations.live)
        }:
            return
        if unit.state != "exited":
            await kernel.units.stop(id, grace_s=kernel.config.apps.grace_s)
        await kernel.store.write(lambda tx: observe.end_sources_of(tx, id))
        await kernel.units.forget(id)

    async def garbage(self) -> Pass:
        """One pass: releases past what is kept, logs of old deployments, caches past the quota, stacks and
        toolchains that nobody needs. Only what is ours."""
        kernel = self._kernel
        changed = await self._collect_releases()
        changed += await self._collect_logs()
        changed += await self._collect_caches()
        changed += await collect_stacks(self._work)
        changed += await collect_toolchains(self._work)
        await kernel.store.write(self._forget_rows)
        return Pass(changed=changed)

    def _forget_rows(self, tx: Tx) -> None:
        before = tx.now - INSTANCES_KEPT_MS
        tables.forget_instances(tx, before=before, most=INSTANCES_KEPT)
        tables.forget_scalings(tx, before=before)

    async def _collect_releases(self) -> int:
        kernel = self._kernel

        def look(conn: sa.Connection) -> tuple[str, ...]:
            used = {each.serving for each in tables.apps(conn)}
            busy = {each.key for each in kernel.operations.live(conn)}
            rows = {each.id: each for app in tables.apps(conn) for each in tables.deployments(conn, app.id)}
            used |= {rows[id].release_id for id in list(used) if id in rows}
            used |= {each.deployment_id for each in tables.instances(conn)}
            used |= {rows[id].release_id for id in list(used) if id in rows}
            built = [(each.app_id, str(each.id)) for each in tables.releases(conn) if each.app_id not in busy]
            return decide.decide_releases(
                built, used=frozenset(str(each) for each in used if each), keep=kernel.config.apps.releases_kept - 1
            )

        gone = await kernel.store.read(look)
        for id in gone:
            release = await kernel.store.read(lambda conn, id=id: tables.release(conn, id))  # type: ignore[misc]
            if release is not None:
                place = kernel.paths.releases / release.app_id / release.id
                await kernel.store.write(lambda tx, id=id: tables.delete_release(tx, id))  # type: ignore[misc]
                await anyio.to_thread.run_sync(files.remove, place)
                log.info("apps.release.collected", app=release.app_id, release=release.id)
        return len(gone)

    async def _collect_logs(self) -> int:
        """Files of output that are kept elsewhere by now, of deployments that no instance belongs to."""
        kernel = self._kernel

        def look(conn: sa.Connection) -> set[str]:
            kept = {str(each.deployment_id) for each in tables.instances(conn)}
            for app in tables.apps(conn):
                rows = tables.deployments(conn, app.id)
                kept |= {str(each.id) for each in rows if each.ended_at is None}
                kept |= {str(each.id) for each in rows[:DEPLOYMENT_LOGS_KEPT]}
            return kept

        folders = [each for each in kernel.paths.deployments.iterdir() if each.is_dir()]
        kept = await kernel.store.read(look)
        gone = 0
        for folder in folders:
            if not folder.name.startswith("deployment_"):
                continue
            if folder.name in kept:
                gone += await self._collect_ended(folder)
                continue
            sources = [each.stem if each.stem != "deploy" else folder.name for each in folder.glob("*.log")]
            if all([each == "build" or await observe.drained(kernel, each) for each in sources]):
                await anyio.to_thread.run_sync(files.remove, folder)
                gone += 1
        return gone

    async def _collect_ended(self, folder: Path) -> int:
        """Of a deployment that is kept: the output of instances that are gone, once all of it is in the store."""
        wanted = {str(each.id) for each in await self._kernel.store.read(lambda conn: tables.instances(conn))}
        gone = 0
        for file in folder.glob("*-*-*-*-*.log"):
            id = file.name[:36]
            if id not in wanted and await observe.drained(self._kernel, file.stem):
                file.unlink(missing_ok=True)
                await anyio.to_thread.run_sync(files.remove, folder / f"{id}.launch")
                gone += 1
        return gone

    async def _collect_caches(self) -> int:
        """The least used caches go first when all together exceed the quota; a busy app's is left alone."""
        kernel = self._kernel
        busy = {each.key for each in await kernel.store.read(kernel.operations.live)}

        def collect() -> int:
            found = [each for each in kernel.paths.cache.glob("app_*/*") if each.is_dir()]
            sizes = {each: files.size_bytes(each) for each in found}
            total, gone = sum(sizes.values()), 0
            for each in sorted(found, key=lambda each: each.stat().st_mtime):
                if total > kernel.config.build.cache_bytes and each.parent.name not in busy:
                    files.remove(each)
                    total -= sizes[each]
                    gone += 1
            return gone

        return await anyio.to_thread.run_sync(collect)

    async def watch_ends(self) -> None:
        """Wake the reconciler as soon as an instance ends, instead of at its next look."""
        kernel = self._kernel
        watched: set[str] = set()

        async def watch(id: UnitId) -> None:
            try:
                await kernel.units.wait(id)
                kernel.bus.wake("apps.instance.ended")
            except HavreError:
                return
            finally:
                watched.discard(id)

        async with (
            kernel.bus.subscribe("apps.", "kernel.operation.step_done") as events,
            anyio.create_task_group() as group,
        ):
            while True:
                for each in await kernel.store.read(lambda conn: tables.instances(conn)):
                    if each.id not in watched and each.state is InstanceState.UP:
                        watched.add(each.id)
                        group.start_soon(watch, UnitId(each.id))
                await events.receive()
