"""The domains of an application (`vhosts` in the contract), and where the edge is for who makes DNS records."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from havre import edge
from havre.api import errors, render
from havre.api.context import Caller, Context, Ctx, OwnerParam, found_app, plain_fqdn, record, shown_fqdn
from havre.apps import views
from havre.base.errors import NotFoundError
from havre.governance import Right
from havre.kernel.store import Tx
from havre.wire import domains, models

router = APIRouter(tags=["domains"])
balancers = APIRouter(tags=["domains"])
APP = "/applications/{app_id}"


@router.get(APP + "/vhosts")
async def vhosts(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> list[models.VhostObject]:
    def look(conn: sa.Connection) -> list[models.VhostObject]:
        app = found_app(conn, actor, owner, app_id)
        return [render.vhost(each, ctx.kernel.config) for each in edge.vhosts(conn, app.id)]

    return await ctx.read(look)


@router.get(APP + "/vhosts/favourite")
async def favourite(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> models.VhostObject:
    found = await ctx.read(lambda conn: edge.favourite(conn, found_app(conn, actor, owner, app_id).id))
    if found is None:
        raise NotFoundError("No favourite domain is set", id=errors.NO_FAVOURITE)
    return render.vhost(found, ctx.kernel.config)


@router.put(APP + "/vhosts/favourite")
async def set_favourite(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, given: models.VhostObject, request: Request
) -> models.VhostObject:
    fqdn = plain_fqdn(given.fqdn, ctx.kernel.config)

    def work(tx: Tx) -> models.VhostObject:
        app = ctx.apps.intents.find(tx, actor, owner, app_id, Right.WRITE)
        found = edge.set_favourite(tx, app_id=app.id, fqdn=fqdn)
        record(tx, actor, "vhost.favourite", owner_id=app.owner_id, subject=f"{app_id} {fqdn}", request=request)
        return render.vhost(found, ctx.kernel.config)

    return await ctx.write(work)


@router.delete(APP + "/vhosts/favourite", status_code=204)
async def unset_favourite(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, request: Request) -> Response:
    def work(tx: Tx) -> None:
        app = ctx.apps.intents.find(tx, actor, owner, app_id, Right.WRITE)
        edge.unset_favourite(tx, app_id=app.id)
        record(tx, actor, "vhost.unfavourite", owner_id=app.owner_id, subject=app_id, request=request)

    await ctx.write(work)
    return Response(status_code=204)


@router.put(APP + "/vhosts/{fqdn:path}")
async def claim(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, fqdn: str, request: Request) -> models.Message:
    """A name that another organisation has is given to who proves that the domain is theirs."""
    wanted = plain_fqdn(unquote(fqdn), ctx.kernel.config)

    def claim_it(is_proven: bool) -> Callable[[Tx], None]:
        def work(tx: Tx) -> None:
            app = ctx.apps.intents.find(tx, actor, owner, app_id, Right.WRITE)
            edge.claim(tx, app_id=app.id, owner_id=app.owner_id, fqdn=wanted, is_proven=is_proven)
            action = "vhost.take_over" if is_proven else "vhost.add"
            record(tx, actor, action, owner_id=app.owner_id, subject=f"{app_id} {wanted}", request=request)

        return work

    app = await ctx.read(lambda conn: found_app(conn, actor, owner, app_id))
    await edge.with_proof(ctx.kernel, app.owner_id, claim_it)
    await edge.reconcile_now(ctx.kernel, app.id, fqdns=[wanted])
    return models.Message(id=323, message=f"{shown_fqdn(wanted, ctx.kernel.config)} has been added", type="success")


@router.delete(APP + "/vhosts/{fqdn:path}")
async def release(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, fqdn: str, request: Request
) -> models.Message:
    wanted = plain_fqdn(unquote(fqdn), ctx.kernel.config)

    def work(tx: Tx) -> None:
        app = ctx.apps.intents.find(tx, actor, owner, app_id, Right.WRITE)
        edge.release(tx, app_id=app.id, fqdn=wanted)
        record(tx, actor, "vhost.drop", owner_id=app.owner_id, subject=f"{app_id} {wanted}", request=request)

    await ctx.write(work)
    await edge.reconcile_now(ctx.kernel, fqdns=[wanted])
    return models.Message(id=324, message=f"{wanted} has been removed", type="success")


@router.get(APP + "/domains")
async def states(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> list[domains.DomainObject]:
    """Each name with where its DNS leads now, what it has to say instead, and how its certificate is."""
    held = await ctx.read(lambda conn: edge.vhosts(conn, found_app(conn, actor, owner, app_id).id))
    return [_domain(ctx, each) for each in await ctx.names.states(held)]


@router.get(APP + "/domains/{host}/proof")
async def proof(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, host: str) -> domains.DomainProof:
    """What to publish to be given a name that another organisation has; then ask for the name again."""
    wanted = plain_fqdn(host, ctx.kernel.config)

    def look(conn: sa.Connection) -> domains.DomainProof:
        owner_id = views.find(conn, actor, None if owner == "self" else owner, app_id, Right.WRITE).owner_id
        asked = edge.proof_of(conn, owner_id, wanted)
        is_of_use = edge.can_be_proven(conn, owner_id, wanted)
        return domains.DomainProof(host=wanted, names=list(asked.names), text=asked.text, isOfUse=is_of_use)

    return await ctx.read(look)


def _domain(ctx: Context, each: edge.NameState) -> domains.DomainObject:
    dns, certificate = each.dns, each.certificate
    return domains.DomainObject(
        fqdn=shown_fqdn(each.vhost.fqdn, ctx.kernel.config),
        host=each.vhost.fqdn.partition("/")[0],
        isDefault=each.vhost.is_default,
        isFavourite=each.vhost.is_favourite,
        dns=domains.DomainDns(
            lead=dns.lead,
            addresses=list(dns.addresses),
            hiddenAddresses=dns.hidden,
            cname=dns.cname,
            records=[domains.DnsRecord(name=it.name, type=it.type, value=it.value) for it in dns.records],
        ),
        certificate=domains.DomainCertificate(
            state=certificate.state,
            issuer=certificate.issuer,
            notAfter=certificate.not_after,
            isOperators=certificate.is_operators,
            error=certificate.error,
            failures=certificate.failures,
            nextTryAt=certificate.next_at,
        ),
    )


@balancers.get("/v4/load-balancers/organisations/{owner_id}/applications/{app_id}/load-balancers/default")
async def load_balancers(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> list[dict[str, Any]]:
    """What the records of a custom domain have to say."""
    await ctx.read(lambda conn: found_app(conn, actor, owner, app_id))
    config = ctx.kernel.config.edge
    addresses = [ipaddress.ip_address(each) for each in config.binds if each not in ("", "0.0.0.0", "::")]
    dns = {
        "cname": f"{edge.edge_name(ctx.kernel.config)}.",
        "a": [str(each) for each in addresses if each.version == 4],
        "aaaa": [str(each) for each in addresses if each.version == 6],
    }
    return [{"id": "default", "name": "default", "zoneId": render.zone_id("par"), "dns": dns}]
