"""API tokens: the bridge of the contract, on the same origin. A token is sent as `Authorization: Bearer …`."""

from __future__ import annotations

import datetime

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from havre import governance
from havre.api.context import Caller, Ctx, record, source_of
from havre.base.errors import DeniedError, InvalidError
from havre.governance import accounts
from havre.kernel.store import Tx
from havre.wire import people

router = APIRouter(tags=["tokens"])
WRONG = "invalid-credential"


@router.get("/api-tokens")
async def api_tokens(ctx: Ctx, actor: Caller) -> list[people.ApiToken]:
    governance.require_person(actor)
    now = ctx.kernel.clock.now()

    def look(conn: sa.Connection) -> list[people.ApiToken]:
        return [_shown(row, now) for row in accounts.api_tokens(conn, actor)]

    return await ctx.read(look)


def _shown(row: sa.Row[tuple[object, ...]], now: int) -> people.ApiToken:
    return people.ApiToken(
        apiTokenId=row.id,
        userId=row.person_id,
        name=row.name,
        description=row.description,
        ip=row.source,
        creationDate=accounts.iso(row.created_at),
        expirationDate=accounts.iso(row.expires_at),
        state="ACTIVE" if row.expires_at > now else "EXPIRED",
    )


@router.post("/api-tokens")
async def new_api_token(ctx: Ctx, actor: Caller, given: people.NewApiToken, request: Request) -> people.MadeApiToken:
    """The password is asked again, and the code where there is one. The token is in this answer and nowhere else."""
    governance.require_person(actor)
    ctx.limits.sign_ins.take(actor.email, what="attempts")
    rng, expires_at = ctx.kernel.rng, _moment(given.expirationDate)
    found = await ctx.read(
        lambda conn: accounts.check_password(conn, email=given.email, password=given.password, rng=rng)
    )
    if found.user_id != actor.user_id:
        raise DeniedError(accounts.WRONG, anonymous=True, code=WRONG)

    def work(tx: Tx) -> people.MadeApiToken:
        accounts.check_code(tx, actor.user_id, given.mfaCode or "")
        row, secret = accounts.new_api_token(
            tx,
            actor,
            name=given.name,
            description=given.description or "",
            expires_at=expires_at,
            source=source_of(request),
            rng=rng,
        )
        owner_id = governance.personal_owner(tx.conn, actor.user_id)
        record(tx, actor, "api-token.add", owner_id=owner_id, subject=row.id, request=request)
        return people.MadeApiToken(apiToken=secret, **_shown(row, tx.now).model_dump())

    return await ctx.write(work)


def _moment(text: str) -> int:
    try:
        found = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        return int((found if found.tzinfo else found.replace(tzinfo=datetime.UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as cause:
        raise InvalidError("expirationDate is a moment such as 2030-01-31T12:00:00.000Z") from cause


@router.put("/api-tokens/{id}", status_code=204)
async def change_api_token(
    ctx: Ctx, actor: Caller, id: str, given: people.ApiTokenChange, request: Request
) -> Response:
    governance.require_person(actor)

    def work(tx: Tx) -> None:
        accounts.change_api_token(tx, actor, id, name=given.name, description=given.description or "")
        owner_id = governance.personal_owner(tx.conn, actor.user_id)
        record(tx, actor, "api-token.change", owner_id=owner_id, subject=id, request=request)

    await ctx.write(work)
    return Response(status_code=204)


@router.delete("/api-tokens/{id}", status_code=204)
async def revoke_api_token(ctx: Ctx, actor: Caller, id: str, request: Request) -> Response:
    governance.require_person(actor)

    def work(tx: Tx) -> None:
        accounts.revoke_api_token(tx, actor, id)
        owner_id = governance.personal_owner(tx.conn, actor.user_id)
        record(tx, actor, "api-token.revoke", owner_id=owner_id, subject=id, request=request)

    await ctx.write(work)
    return Response(status_code=204)
