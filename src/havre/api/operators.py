"""For operators of the installation: its state and figures, people, quotas, credentials, the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from havre import __version__, apps, edge, governance, notifications
from havre.api import render
from havre.api.context import Caller, Ctx, record
from havre.base.errors import NotFoundError
from havre.governance import Quota, accounts, organisations
from havre.kernel.store import Tx
from havre.wire import machine, people

router = APIRouter()


@router.get("/health", tags=["operator"])
async def health() -> dict[str, str]:
    return {"status": "ok", "version": __version__}


@router.get("/v2/havre/status", tags=["operator"])
async def status(ctx: Ctx, actor: Caller) -> machine.PlatformStatus:
    """Rooms with their health and backlog, operations under way; for operators."""
    governance.authorise_operator(actor)
    rooms = []
    for room in ctx.rooms:
        if room.health is not None:
            seen = await room.health()
            figures = seen.figures or {}
            rooms.append(machine.RoomStatus(name=room.name, error=seen.error, backlog=seen.backlog, figures=figures))
    live = await ctx.read(ctx.kernel.operations.live)
    shown = [
        machine.OperationStatus(
            id=each.id,
            kind=each.kind,
            key=each.key,
            status=each.status,
            step=each.step,
            progress=each.progress,
            error=each.error,
            since=each.created_at,
            steps=render.steps(each, ctx.kernel.operations.steps_of(each.kind)),
        )
        for each in live
    ]
    return machine.PlatformStatus(version=__version__, rooms=rooms, operations=shown)


PEOPLE = "/v2/havre/people"


@router.get(PEOPLE, tags=["operator"])
async def all_people(ctx: Ctx, actor: Caller) -> list[people.PersonObject]:
    governance.authorise_operator(actor)

    def look(conn: sa.Connection) -> list[people.PersonObject]:
        return [
            people.PersonObject(
                id=row.id,
                email=row.email,
                name=row.name,
                isOperator=row.is_operator,
                hasSecondFactor=accounts.needs_code(conn, row.id),
                createdAt=row.created_at,
            )
            for row in governance.people(conn)
        ]

    return await ctx.read(look)


@router.post(PEOPLE, status_code=201, tags=["operator"])
async def add_person(ctx: Ctx, actor: Caller, given: people.NewPerson, request: Request) -> people.MadePerson:
    """Make an account; its password and token are in the answer and nowhere else."""
    governance.authorise_operator(actor)
    name = given.name or given.email.partition("@")[0] or "Person"
    rng = ctx.kernel.rng
    made = governance.new_credentials(rng, email=given.email, name=name)

    def work(tx: Tx) -> None:
        governance.add_person(tx, made, is_operator=given.isOperator, rng=rng)
        record(tx, actor, "person.add", owner_id=_own(tx, actor), subject=given.email, request=request)

    await ctx.write(work)
    return people.MadePerson(
        id=made.user_id,
        email=made.email,
        organisation=made.owner_id,
        password=made.password,
        token=made.token,
        secret=made.secret,
    )


def _own(tx: Tx, actor: governance.Actor) -> str:
    """What an operator does to the installation stands in the audit of the operator's own space."""
    return governance.personal_owner(tx.conn, actor.user_id)


@router.delete(PEOPLE + "/{person_id}", status_code=204, tags=["operator"])
async def remove_person(ctx: Ctx, actor: Caller, person_id: str, request: Request) -> Response:
    """The account and its empty personal space."""
    governance.authorise_operator(actor)

    def work(tx: Tx) -> None:
        row = governance.person(tx.conn, person_id)
        if row is None:
            raise NotFoundError("there is no such person")
        apps.linked.check_empty(tx.conn, row.personal_owner_id)
        notifications.drop_owner(tx, row.personal_owner_id)
        organisations.remove_person(tx, actor, person_id)
        record(tx, actor, "person.remove", owner_id=_own(tx, actor), subject=row.email, request=request)

    await ctx.write(work)
    return Response(status_code=204)


@router.post(PEOPLE + "/{person_id}/password", tags=["operator"])
async def reset_person(ctx: Ctx, actor: Caller, person_id: str, request: Request) -> people.NewPassword:
    """For who lost theirs: a new password, no second factor, every session and token ended."""
    governance.authorise_operator(actor)

    def work(tx: Tx) -> str:
        record(tx, actor, "person.reset", owner_id=_own(tx, actor), subject=person_id, request=request)
        return organisations.reset_person(tx, actor, person_id, rng=ctx.kernel.rng)

    return people.NewPassword(password=await ctx.write(work))


@router.get(PEOPLE + "/{person_id}/tokens", tags=["operator"])
async def tokens(ctx: Ctx, actor: Caller, person_id: str) -> list[people.PersonToken]:
    """What a person signed in with: command lines, consumers, API tokens; by their first letters."""
    governance.authorise_operator(actor)

    def look(conn: sa.Connection) -> list[people.PersonToken]:
        if governance.person(conn, person_id) is None:
            raise NotFoundError("there is no such person")
        found = [
            people.PersonToken(id=row.token[:8], kind="oauth", name="", expiresAt=row.expires_at)
            for row in governance.tokens_of(conn, person_id)
        ]
        return found + [
            people.PersonToken(id=row.id, kind="api-token", name=row.name, expiresAt=row.expires_at)
            for row in accounts.api_tokens_of(conn, person_id)
        ]

    return await ctx.read(look)


@router.delete(PEOPLE + "/{person_id}/tokens", tags=["operator"])
async def revoke_tokens(ctx: Ctx, actor: Caller, person_id: str, request: Request) -> dict[str, int]:
    """Every session and token of a person ends at once; but the one that asks."""
    governance.authorise_operator(actor)

    def work(tx: Tx) -> int:
        record(tx, actor, "person.sign-out", owner_id=_own(tx, actor), subject=person_id, request=request)
        return organisations.revoke_credentials(tx, actor, person_id)

    return {"revoked": await ctx.write(work)}


@router.get("/v2/havre/quotas", tags=["operator"])
async def quotas(ctx: Ctx, actor: Caller) -> list[people.OwnerQuota]:
    governance.authorise_operator(actor)
    default = Quota(ctx.kernel.config.quotas.apps, ctx.kernel.config.quotas.instances)

    def look(conn: sa.Connection) -> list[people.OwnerQuota]:
        found = []
        for row in governance.owners(conn):
            quota = organisations.quota(conn, row.id, default=default)
            used = apps.linked.count(conn, row.id)
            limits = {"apps": quota.apps, "instances": quota.instances}
            found.append(
                people.OwnerQuota(id=row.id, name=row.name, isPersonal=row.is_personal, usedApps=used, **limits)
            )
        return found

    return await ctx.read(look)


@router.put("/v2/havre/quotas/{owner_id}", tags=["operator"])
async def set_quota(
    ctx: Ctx, actor: Caller, owner_id: str, given: people.QuotaObject, request: Request
) -> people.QuotaObject:
    governance.authorise_operator(actor)

    def work(tx: Tx) -> None:
        organisations.set_quota(tx, actor, owner_id, Quota(given.apps, given.instances))
        subject = f"{owner_id} {given.apps} apps, {given.instances} instances"
        record(tx, actor, "quota.set", owner_id=_own(tx, actor), subject=subject, request=request)

    await ctx.write(work)
    return given


@router.get("/v2/havre/outbox", tags=["operator"])
async def outbox(ctx: Ctx, actor: Caller) -> list[people.Letter]:
    """Letters of the platform, newest first: what was sent, and what waits because there is no mail server."""

    def look(conn: sa.Connection) -> list[people.Letter]:
        return [
            people.Letter(
                id=each.id,
                to=each.to,
                subject=str(each.content["subject"]),
                text=str(each.content["text"]),
                state=each.state,
                tries=each.tries,
                error=each.error,
                createdAt=each.created_at,
            )
            for each in notifications.outbox(conn, actor)
        ]

    return await ctx.read(look)


@router.get("/metrics", include_in_schema=False)
async def metrics(ctx: Ctx, actor: Caller) -> Response:
    """Prometheus text; for operators."""
    governance.authorise_operator(actor)
    own = generate_latest(ctx.kernel.metrics).decode()
    return Response(own + await edge.proxy_metrics(ctx.kernel), media_type=CONTENT_TYPE_LATEST)
