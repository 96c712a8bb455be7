"""Organisations and their people, the summary that the CLI resolves names with, the audit."""

from __future__ import annotations

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from havre import apps, governance, notifications
from havre.api import summaries
from havre.api.context import Caller, Ctx, OwnerParam, record
from havre.governance import Owner, Right, Role
from havre.kernel.store import Tx
from havre.wire import models, people

router = APIRouter(tags=["organisations"])
ORG = "/v2/organisations/{owner_id}"


@router.get("/v2/summary", response_model=models.Summary)
async def summary(ctx: Ctx, actor: Caller) -> Response:
    """Every organisation with what it has. Written without the framework's second look: each command asks."""
    content = await ctx.read(lambda conn: summaries.summary(conn, actor, ctx.kernel.config))
    return Response(content, media_type="application/json")


def _shown(owner: Owner) -> people.Organisation:
    return people.Organisation(id=owner.id, name=owner.name, role=owner.role)


@router.get("/v2/organisations")
async def organisations(ctx: Ctx, actor: Caller) -> list[people.Organisation]:
    governance.require_grant(actor, governance.Grant.ACCESS_ORGANISATIONS)
    return await ctx.read(lambda conn: [_shown(each) for each in governance.owners_of(conn, actor)])


@router.post("/v2/organisations", status_code=201)
async def create_organisation(
    ctx: Ctx, actor: Caller, given: people.OrganisationChange, request: Request
) -> people.Organisation:
    def work(tx: Tx) -> people.Organisation:
        owner = governance.organisations.create_owner(tx, actor, name=given.name)
        record(tx, actor, "organisation.create", owner_id=owner.id, subject=owner.id, request=request)
        return _shown(owner)

    return await ctx.write(work)


@router.get(ORG)
async def organisation(ctx: Ctx, actor: Caller, owner: OwnerParam) -> people.Organisation:
    return await ctx.read(lambda conn: _shown(governance.authorise(conn, actor, owner, Right.READ)))


@router.put(ORG)
async def rename_organisation(
    ctx: Ctx, actor: Caller, owner: OwnerParam, given: people.OrganisationChange, request: Request
) -> people.Organisation:
    def work(tx: Tx) -> people.Organisation:
        found = governance.organisations.rename_owner(tx, actor, owner, name=given.name)
        record(tx, actor, "organisation.rename", owner_id=found.id, subject=found.id, request=request)
        return _shown(found)

    return await ctx.write(work)


@router.delete(ORG)
async def delete_organisation(ctx: Ctx, actor: Caller, owner: OwnerParam, request: Request) -> models.Message:
    """Only an empty one goes: its applications are deleted before."""

    def work(tx: Tx) -> None:
        found = governance.authorise(tx.conn, actor, owner, Right.ADMIN)
        apps.linked.check_empty(tx.conn, found.id)
        notifications.drop_owner(tx, found.id)
        governance.organisations.delete_owner(tx, actor, found.id)
        record(tx, actor, "organisation.delete", owner_id=found.id, subject=found.name, request=request)

    await ctx.write(work)
    return models.Message(id=201, message="The organisation has been deleted", type="success")


# members


@router.get(ORG + "/members")
async def members(ctx: Ctx, actor: Caller, owner: OwnerParam) -> list[people.Member]:
    def look(conn: sa.Connection) -> list[people.Member]:
        found = governance.authorise(conn, actor, owner, Right.READ)
        return [
            people.Member(member=people.MemberPerson(id=row.id, email=row.email, name=row.name), role=row.role)
            for row in governance.members_of(conn, found.id)
        ]

    return await ctx.read(look)


@router.post(ORG + "/members")
async def add_member(
    ctx: Ctx, actor: Caller, owner: OwnerParam, given: people.NewMember, request: Request
) -> models.Message:
    """Somebody with an account here is a member at once; anybody else is sent an invitation."""
    ctx.limits.letters.take(actor.user_id, what="invitations")
    origin, rng = ctx.kernel.config.origin, ctx.kernel.rng

    def work(tx: Tx) -> bool:
        found = governance.authorise(tx.conn, actor, owner, Right.ADMIN)
        role = Role(given.role)
        proof = governance.organisations.put_member(tx, actor, owner_id=found.id, email=given.email, role=role, rng=rng)
        record(tx, actor, "member.add", owner_id=found.id, subject=f"{given.email} {role}", request=request)
        if proof is not None:
            text = f"{actor.name} invites you to {found.name}. To join, open\n\n{origin}/invitation?proof={proof}\n"
            to = governance.accounts.email(given.email)
            notifications.post(tx, to=to, subject=f"You are invited to {found.name}", text=text)
        return proof is not None

    invited = await ctx.write(work)
    said = "An invitation has been sent" if invited else "The member has been added"
    return models.Message(id=200, message=said, type="success")


@router.put(ORG + "/members/{person_id}")
async def change_member(
    ctx: Ctx, actor: Caller, owner: OwnerParam, person_id: str, given: people.MemberChange, request: Request
) -> models.Message:
    def work(tx: Tx) -> None:
        found = governance.authorise(tx.conn, actor, owner, Right.ADMIN)
        role = Role(given.role)
        governance.organisations.change_member(tx, actor, owner_id=found.id, person_id=person_id, role=role)
        record(tx, actor, "member.change", owner_id=found.id, subject=f"{person_id} {role}", request=request)

    await ctx.write(work)
    return models.Message(id=200, message="The member's role has been changed", type="success")


@router.delete(ORG + "/members/{person_id}")
async def remove_member(ctx: Ctx, actor: Caller, owner: OwnerParam, person_id: str, request: Request) -> models.Message:
    """`self` or one's own id: to leave."""

    def work(tx: Tx) -> None:
        found = governance.authorise(tx.conn, actor, owner, Right.READ)
        governance.organisations.remove_member(tx, actor, owner_id=found.id, person_id=person_id)
        record(tx, actor, "member.remove", owner_id=found.id, subject=person_id, request=request)

    await ctx.write(work)
    return models.Message(id=200, message="The member has been removed", type="success")


@router.get(ORG + "/audit")
async def audit(ctx: Ctx, actor: Caller, owner: OwnerParam, limit: int = 100) -> list[people.AuditEntry]:
    """Who did what from where, and whether it was allowed, newest first; for administrators."""

    def look(conn: sa.Connection) -> list[people.AuditEntry]:
        found = governance.authorise(conn, actor, owner, Right.ADMIN)
        rows = governance.audit_of(conn, found.id, limit=max(1, min(limit, 1000)))
        return [people.AuditEntry.model_validate(dict(row._mapping)) for row in rows]

    return await ctx.read(look)
