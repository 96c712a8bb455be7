"""Who am I, my organisations, the summary that the CLI resolves names with."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from havre import apps, governance
from havre.api import errors, render
from havre.api.context import Caller, Ctx, OwnerParam, record
from havre.base.errors import DeniedError
from havre.governance import Right, Role
from havre.kernel.store import Tx
from havre.wire import models

router = APIRouter(tags=["account"])
_EXPIRES_FORM = "%Y-%m-%dT%H:%M:%S.000Z"


@router.get("/v2/self")
async def myself(ctx: Ctx, actor: Caller) -> models.SelfObject:
    def look(conn: sa.Connection) -> models.SelfObject:
        row = next(each for each in governance.people(conn) if each.id == actor.user_id)
        return models.SelfObject(
            id=row.id,
            email=row.email,
            name=row.name,
            creationDate=row.created_at,
            admin=row.is_operator,
            partnerConsoleUrl=ctx.kernel.config.origin,
        )

    return await ctx.read(look)


@router.get("/v2/self/id")
async def my_id(actor: Caller) -> dict[str, str]:
    return {"ownerId": actor.user_id}


@router.get("/v2/self/tokens/current")
async def my_token(ctx: Ctx, actor: Caller) -> dict[str, Any]:
    row = await ctx.read(lambda conn: governance.token(conn, actor.token))
    if row is None:
        raise DeniedError("the credentials are not valid or have expired", anonymous=True)
    consumer = {"name": "clever", "key": row.consumer, "rights": {}}
    dates = {"creationDate": row.created_at, "expirationDate": row.expires_at, "lastUtilisation": None}
    return {"token": row.token, "consumer": consumer, **dates, "rights": {}, "employeeId": None}


@router.get("/v2/self/cli_tokens")
async def fetch_cli_token(ctx: Ctx, cli_token: str, response: Response) -> dict[str, Any]:
    """404 until the person has signed in in the browser; then the token, once."""
    if not re.fullmatch(r"[A-Za-z0-9_+/=-]{16,128}", cli_token):
        response.status_code = 404
        return errors.body(4004, "not signed in yet")
    row = await ctx.write(lambda tx: governance.take_cli_token(tx, cli_token))
    if row is None:
        response.status_code = 404
        return errors.body(4004, "not signed in yet")
    import datetime

    expires = datetime.datetime.fromtimestamp(row.expires_at / 1000, datetime.UTC).strftime(_EXPIRES_FORM)
    return {"token": row.token, "secret": row.secret, "expirationDate": expires}


@router.get("/v2/summary")
async def summary(ctx: Ctx, actor: Caller) -> models.Summary:
    def look(conn: sa.Connection) -> models.Summary:
        console = ctx.kernel.config.origin
        user = models.SummaryUser(id=actor.user_id, name=actor.name, email=actor.email, partnerConsoleUrl=console)
        found = []
        for owner in governance.owners_of(conn, actor):
            listed = [render.summary_application(each) for each in apps.views.apps_of(conn, actor, owner.id)]
            found.append(models.SummaryOrganisation(id=owner.id, name=owner.name, role=owner.role, applications=listed))
        return models.Summary(user=user, organisations=found)

    return await ctx.read(look)


@router.get("/v2/organisations")
async def organisations(ctx: Ctx, actor: Caller) -> list[models.Organisation]:
    owners = await ctx.read(lambda conn: governance.owners_of(conn, actor))
    return [models.Organisation(id=each.id, name=each.name, role=each.role) for each in owners]


@router.post("/v2/organisations", status_code=201)
async def create_organisation(
    ctx: Ctx, actor: Caller, given: models.NewOrganisation, request: Request
) -> models.Organisation:
    def work(tx: Tx) -> models.Organisation:
        owner = governance.create_owner(tx, actor, name=given.name)
        record(tx, actor, "organisation.create", owner_id=owner.id, subject=owner.id, request=request)
        return models.Organisation(id=owner.id, name=owner.name, role=owner.role)

    return await ctx.write(work)


@router.get("/v2/organisations/{owner_id}")
async def organisation(ctx: Ctx, actor: Caller, owner: OwnerParam) -> models.Organisation:
    found = await ctx.read(lambda conn: governance.authorise(conn, actor, owner, Right.READ))
    return models.Organisation(id=found.id, name=found.name, role=found.role)


@router.get("/v2/organisations/{owner_id}/members")
async def members(ctx: Ctx, actor: Caller, owner: OwnerParam) -> list[dict[str, Any]]:
    def look(conn: sa.Connection) -> list[dict[str, Any]]:
        found = governance.authorise(conn, actor, owner, Right.READ)
        rows = governance.members_of(conn, found.id)
        shown = [
            {"id": row.id, "email": row.email, "name": row.name, "avatar": None, "preferredMFA": "NONE"} for row in rows
        ]
        return [{"member": each, "role": row.role, "job": None} for each, row in zip(shown, rows, strict=True)]

    return await ctx.read(look)


@router.post("/v2/organisations/{owner_id}/members")
async def put_member(
    ctx: Ctx, actor: Caller, owner: OwnerParam, given: models.NewMember, request: Request
) -> models.Message:
    def work(tx: Tx) -> None:
        governance.put_member(tx, actor, owner_id=owner, email=given.email, role=Role(given.role))
        record(tx, actor, "member.put", owner_id=owner, subject=given.email, request=request)

    await ctx.write(work)
    return models.Message(id=200, message="The member has been added", type="success")


@router.get("/v2/organisations/{owner_id}/audit")
async def audit(ctx: Ctx, actor: Caller, owner: OwnerParam, limit: int = 100) -> list[dict[str, Any]]:
    """Who did what, newest first; for administrators of the organisation."""

    def look(conn: sa.Connection) -> list[dict[str, Any]]:
        found = governance.authorise(conn, actor, owner, Right.ADMIN)
        rows = governance.audit_of(conn, found.id, limit=max(1, min(limit, 1000)))
        return [dict(row._mapping) for row in rows]

    return await ctx.read(look)
