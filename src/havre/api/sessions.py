"""The browsers that a person is signed in at."""

from __future__ import annotations

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from havre import governance
from havre.api.context import COOKIE, Caller, Ctx, record
from havre.governance import accounts
from havre.kernel.store import Tx
from havre.wire import overview

router = APIRouter(tags=["account"])


@router.get("/v2/self/sessions")
async def sessions(ctx: Ctx, actor: Caller) -> list[overview.Session]:
    """Where the person is signed in at the console, the browser that was used last first."""

    def look(conn: sa.Connection) -> list[overview.Session]:
        return [
            overview.Session(
                id=each.id,
                source=each.source,
                agent=each.agent,
                createdAt=each.created_at,
                seenAt=each.seen_at,
                isCurrent=each.is_current,
            )
            for each in accounts.sessions(conn, actor)
        ]

    return await ctx.read(look)


@router.delete("/v2/self/sessions/{id}", status_code=204)
async def end_session(ctx: Ctx, actor: Caller, id: str, request: Request) -> Response:
    """Sign out there at once; `current` is the browser that asks."""

    def work(tx: Tx) -> None:
        accounts.end_session(tx, actor, id)
        owner_id = governance.personal_owner(tx.conn, actor.user_id)
        record(tx, actor, "session.end", owner_id=owner_id, subject=id, request=request)

    await ctx.write(work)
    answer = Response(status_code=204)
    if id == "current":
        answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True)
    return answer
