"""The machine of the installation, for operators: what it can and cannot do, and how full its disk is."""

from __future__ import annotations

from fastapi import APIRouter

from havre import governance
from havre.api.context import Caller, Ctx
from havre.wire.machine import DiskObject, DiskPart, FindingObject

router = APIRouter(prefix="/v2/havre", tags=["operator"])


@router.get("/doctor")
async def doctor(ctx: Ctx, actor: Caller) -> list[FindingObject]:
    """What `havre doctor` prints: what this machine can and cannot do, and what follows."""
    governance.authorise_operator(actor)
    return [
        FindingObject(what=each.what, ok=each.ok, seen=each.seen, follows=each.follows, fatal=each.fatal)
        for each in await ctx.machine.findings()
    ]


@router.get("/disk")
async def disk(ctx: Ctx, actor: Caller) -> DiskObject:
    """What the installation takes on its disk, by part, and what is left; measured a minute ago at most."""
    governance.authorise_operator(actor)
    seen, build, data = await ctx.machine.disk(), ctx.kernel.config.build, ctx.kernel.paths.data
    return DiskObject(
        place=str(seen.place),
        totalBytes=seen.total_bytes,
        freeBytes=seen.free_bytes,
        freeFiles=seen.free_files,
        reserveBytes=build.reserve_bytes,
        reserveFiles=build.reserve_files,
        parts=[
            DiskPart(
                name=each.name,
                place=str(each.places[0]) if len(each.places) == 1 else "",
                isInside=all(place.is_relative_to(data) for place in each.places),
                bytes=each.used_bytes,
                limitBytes=each.limit_bytes,
                limitOf=each.limit_of,
            )
            for each in seen.parts
        ],
        measuredAt=seen.at,
    )
