"""Collects the stacks that nobody needs: not this installation, and no other that shares them."""

from __future__ import annotations

import anyio.to_thread
import sqlalchemy as sa
import structlog

from havre.apps import decide, tables
from havre.apps.work import Work
from havre.base.errors import UnavailableError
from havre.drivers.debian import Stack

log = structlog.get_logger()


def needed(conn: sa.Connection) -> frozenset[str]:
    """The stacks of instances that are wanted and of releases that are kept."""
    found = {each.stack for each in tables.instances(conn)} | {each.stack for each in tables.releases(conn)}
    return frozenset(found - {""})


async def collect_stacks(work: Work) -> int:
    """One pass: say what is needed here, then remove what is needed nowhere. How many went."""
    kernel, stacks = work.kernel, work.stacks
    if stacks is None or not stacks.root.exists():
        return 0
    ids = await kernel.store.read(needed)
    settings, now = kernel.config.stacks, kernel.clock.now()

    def choose() -> list[Stack]:
        stacks.claim(kernel.paths.data, ids)
        seen = {each.id: each for each in stacks.all()}
        held = [
            decide.Holding(each.id, each.used_at, frozenset(package.file for package in each.closure.packages))
            for each in seen.values()
        ]
        limits = {"kept_ms": int(settings.kept_s * 1000), "limit_bytes": settings.limit_bytes}
        gone = decide.decide_stacks(held, stacks.weights(), used=stacks.claimed(), now=now, **limits)
        return [seen[id] for id in gone]

    try:
        gone = await stacks.remove(await anyio.to_thread.run_sync(choose))
    except UnavailableError:
        return 0  # one is being made: another time
    for id in gone:
        log.info("apps.stack.collected", stack=id)
    return len(gone)
