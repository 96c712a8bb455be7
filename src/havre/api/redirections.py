"""TCP redirections: public ports that lead to port 4040 of an application."""

from __future__ import annotations

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from havre import edge, governance
from havre.api.context import Caller, Ctx, OwnerParam, found_app, record
from havre.governance import Right
from havre.kernel.store import Tx
from havre.wire import models

router = APIRouter(tags=["TCP redirections"])
APP = "/applications/{app_id}"


@router.get("/namespaces")
async def namespaces(ctx: Ctx, actor: Caller, owner: OwnerParam) -> list[models.Namespace]:
    await ctx.read(lambda conn: governance.authorise(conn, actor, owner, Right.READ))
    return [models.Namespace(namespace=each) for each in edge.NAMESPACES]


@router.get(APP + "/tcpRedirs")
async def redirections(ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str) -> list[models.TcpRedirection]:
    def look(conn: sa.Connection) -> list[models.TcpRedirection]:
        return [_shown(each) for each in edge.redirections(conn, found_app(conn, actor, owner, app_id).id)]

    return await ctx.read(look)


@router.post(APP + "/tcpRedirs")
async def add(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, given: models.Namespace, request: Request
) -> models.TcpRedirection:
    """Answered once the port can be connected to."""
    ports, taken = edge.ports_of(ctx.kernel.config), edge.ports_in_use()

    def work(tx: Tx) -> edge.Redirection:
        app = ctx.apps.intents.find(tx, actor, owner, app_id, Right.WRITE)
        made = edge.add_redirection(
            tx, app_id=app.id, owner_id=app.owner_id, namespace=given.namespace, ports=ports, taken=taken
        )
        subject = f"{app_id} {made.namespace} {made.port}"
        record(tx, actor, "redirection.add", owner_id=app.owner_id, subject=subject, request=request)
        return made

    made = await ctx.write(work)
    await edge.reconcile_now(ctx.kernel, made.app_id, ports=[made.port])
    return _shown(made)


@router.delete(APP + "/tcpRedirs/{port}", status_code=204)
async def remove(
    ctx: Ctx, actor: Caller, owner: OwnerParam, app_id: str, port: int, request: Request, namespace: str = "default"
) -> Response:
    def work(tx: Tx) -> None:
        app = ctx.apps.intents.find(tx, actor, owner, app_id, Right.WRITE)
        edge.remove_redirection(tx, app_id=app.id, namespace=namespace, port=port)
        subject = f"{app_id} {namespace} {port}"
        record(tx, actor, "redirection.remove", owner_id=app.owner_id, subject=subject, request=request)

    await ctx.write(work)
    await edge.reconcile_now(ctx.kernel, ports=[port])
    return Response(status_code=204)


def _shown(found: edge.Redirection) -> models.TcpRedirection:
    return models.TcpRedirection(namespace=found.namespace, port=found.port)
