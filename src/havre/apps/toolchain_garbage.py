"""Collects the toolchains that nobody has used for long, such as a version of Go that one app once asked for."""

from __future__ import annotations

import sqlalchemy as sa
import structlog

from havre.apps import tables
from havre.apps.work import Work

IDLE_S = 14 * 86_400.0
log = structlog.get_logger()


def needed(conn: sa.Connection) -> frozenset[str]:
    """The toolchains that instances of the releases that are kept are started with."""
    plans = (each.plan for each in tables.releases(conn))
    return frozenset(name for plan in plans for name in plan.get("toolchains", ()))


async def collect_toolchains(work: Work) -> int:
    """One pass; how many went."""
    kernel = work.kernel
    names = await kernel.store.read(needed)
    gone = await work.toolchains.collect(names, idle_s=IDLE_S)
    for name in gone:
        log.info("apps.toolchain.collected", toolchain=name)
    return len(gone)
