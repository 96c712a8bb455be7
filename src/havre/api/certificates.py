"""Certificates: an organisation's own, and for operators those of the whole installation. Beyond the contract."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import sqlalchemy as sa
from fastapi import APIRouter, Request

from havre import edge, governance
from havre.api.context import Caller, Context, Ctx, OwnerParam, record
from havre.governance import Actor, Right
from havre.kernel.store import Tx
from havre.wire import models

router = APIRouter(tags=["certificates"])
operators = APIRouter(tags=["certificates"])


@router.get("/certificates")
async def certificates(ctx: Ctx, actor: Caller, owner: OwnerParam) -> list[models.CertificateObject]:
    def look(conn: sa.Connection) -> list[models.CertificateObject]:
        owner_id = governance.authorise(conn, actor, owner, Right.READ).id
        return [_shown(conn, each) for each in edge.certificates_of(conn, owner_id)]

    return await ctx.read(look)


@router.post("/certificates")
async def upload(
    ctx: Ctx, actor: Caller, owner: OwnerParam, given: models.NewCertificate, request: Request
) -> models.CertificateObject:
    """Checked before anything is kept; shown to visitors of the organisation's domains before this is answered."""
    await ctx.read(lambda conn: _owner(conn, actor, owner))
    return await _keep(ctx, actor, given, request, lambda tx: _owner(tx.conn, actor, owner))


@router.delete("/certificates/{certificate_id}")
async def remove(ctx: Ctx, actor: Caller, owner: OwnerParam, certificate_id: str, request: Request) -> models.Message:
    return await _remove(ctx, actor, certificate_id, request, lambda tx: _owner(tx.conn, actor, owner))


@operators.get("/v2/havre/certificates")
async def all_certificates(ctx: Ctx, actor: Caller) -> list[models.CertificateObject]:
    """Everybody's, the ordered ones included."""
    governance.authorise_operator(actor)
    return await ctx.read(lambda conn: [_shown(conn, each) for each in edge.all_certificates(conn)])


@operators.post("/v2/havre/certificates")
async def upload_for_all(
    ctx: Ctx, actor: Caller, given: models.NewCertificate, request: Request
) -> models.CertificateObject:
    """For every name that it covers: the platform's own, and organisations' that have no better one."""
    governance.authorise_operator(actor)
    return await _keep(ctx, actor, given, request, lambda _: None)


@operators.delete("/v2/havre/certificates/{certificate_id}")
async def remove_for_all(ctx: Ctx, actor: Caller, certificate_id: str, request: Request) -> models.Message:
    governance.authorise_operator(actor)
    return await _remove(ctx, actor, certificate_id, request, lambda _: None)


Whose = Callable[[Tx], str | None]


async def _keep(
    ctx: Context, actor: Actor, given: models.NewCertificate, request: Request, whose: Whose
) -> models.CertificateObject:
    checked = await edge.check_certificate(ctx.kernel, given.certificate, given.key or given.certificate)

    def work(tx: Tx) -> edge.Certificate:
        owner_id = whose(tx)
        made = edge.add_certificate(tx, checked, owner_id=owner_id)
        record(tx, actor, "certificate.add", owner_id=owner_id, subject=made.id, request=request)
        return made

    made = await ctx.write(work)
    await edge.certify_now(ctx.kernel)
    shown = await ctx.read(lambda conn: _shown(conn, made))
    return shown.model_copy(update={"note": checked.note})


async def _remove(ctx: Context, actor: Actor, id: str, request: Request, whose: Whose) -> models.Message:
    def work(tx: Tx) -> None:
        owner_id = whose(tx)
        edge.remove_certificate(tx, id, owner_id=owner_id)
        record(tx, actor, "certificate.remove", owner_id=owner_id, subject=id, request=request)

    await ctx.write(work)
    await edge.certify_now(ctx.kernel)
    return models.Message(id=0, message="The certificate has been removed", type="success")


def _owner(conn: sa.Connection, actor: Actor, owner: str) -> str:
    return governance.authorise(conn, actor, owner, Right.WRITE).id


def _shown(conn: sa.Connection, found: edge.Certificate) -> models.CertificateObject:
    return models.CertificateObject(
        id=found.id,
        ownerId=found.owner_id,
        kind="ordered" if found.kind == "acme" else "uploaded",
        names=list(found.names),
        issuer=found.issuer,
        notBefore=_iso(found.not_before),
        notAfter=_iso(found.not_after),
        fingerprint=found.fingerprint,
        domains=edge.hosts_shown(conn, found),
        note="",
    )


def _iso(ms: int) -> str:
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
