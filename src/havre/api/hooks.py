"""Notifications: webhooks and e-mails of an organisation, and the log of their deliveries."""

from __future__ import annotations

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from havre import notifications
from havre.api.context import Caller, Ctx, OwnerParam, record
from havre.kernel.store import Tx
from havre.notifications import Delivery, Hook
from havre.wire import hooks

router = APIRouter(tags=["notifications"])
WEB = "/v2/notifications/webhooks/{owner_id}"
MAIL = "/v2/notifications/emailhooks/{owner_id}"


@router.get("/v2/notifications/info/events")
async def events() -> list[str]:
    return [*notifications.EVENTS, *notifications.META]


@router.get("/v2/notifications/info/webhookformats")
async def formats() -> list[str]:
    return list(notifications.FORMATS)


def _list(found: tuple[str, ...] | None) -> list[str] | None:
    return list(found) if found else None


def _webhook(hook: Hook, failures: int) -> hooks.Webhook:
    return hooks.Webhook(
        id=hook.id,
        name=hook.name,
        ownerId=hook.owner_id,
        scope=_list(hook.scope),
        events=_list(hook.events),
        urls=[dict(each) for each in hook.targets],
        createdAt=hook.created_at,
        failures=failures,
    )


def _emailhook(hook: Hook, failures: int) -> hooks.Emailhook:
    return hooks.Emailhook(
        id=hook.id,
        name=hook.name,
        ownerId=hook.owner_id,
        scope=_list(hook.scope),
        events=_list(hook.events),
        notified=[dict(each) for each in hook.targets],
        createdAt=hook.created_at,
        failures=failures,
    )


def _delivery(each: Delivery) -> hooks.DeliveryObject:
    return hooks.DeliveryObject(
        id=each.id,
        to=each.to,
        state=each.state,
        tries=each.tries,
        error=each.error,
        createdAt=each.created_at,
        endedAt=each.ended_at,
        nextAt=each.next_at if each.ended_at is None else None,
    )


@router.get(WEB)
async def webhooks(ctx: Ctx, actor: Caller, owner: OwnerParam) -> list[hooks.Webhook]:
    return await ctx.read(lambda conn: [_webhook(*each) for each in notifications.hooks(conn, actor, owner, "webhook")])


@router.post(WEB)
async def add_webhook(
    ctx: Ctx, actor: Caller, owner: OwnerParam, given: hooks.NewWebhook, request: Request
) -> hooks.Webhook:
    def work(tx: Tx) -> hooks.Webhook:
        made = notifications.add_webhook(tx, actor, owner, given.model_dump())
        record(tx, actor, "webhook.add", owner_id=made.owner_id, subject=made.id, request=request)
        return _webhook(made, 0)

    return await ctx.write(work)


@router.delete(WEB + "/{id}", status_code=204)
async def remove_webhook(ctx: Ctx, actor: Caller, owner: OwnerParam, id: str, request: Request) -> Response:
    def work(tx: Tx) -> None:
        found = notifications.remove_hook(tx, actor, owner, id, "webhook")
        record(tx, actor, "webhook.remove", owner_id=found.owner_id, subject=id, request=request)

    await ctx.write(work)
    return Response(status_code=204)


@router.get(WEB + "/{id}/deliveries")
async def webhook_deliveries(ctx: Ctx, actor: Caller, owner: OwnerParam, id: str) -> list[hooks.DeliveryObject]:
    """Newest first: where to, how often tried, with what result."""

    def look(conn: sa.Connection) -> list[hooks.DeliveryObject]:
        return [_delivery(each) for each in notifications.deliveries(conn, actor, owner, id, "webhook")]

    return await ctx.read(look)


@router.get(MAIL)
async def emailhooks(ctx: Ctx, actor: Caller, owner: OwnerParam) -> list[hooks.Emailhook]:
    return await ctx.read(lambda conn: [_emailhook(*each) for each in notifications.hooks(conn, actor, owner, "email")])


@router.post(MAIL)
async def add_emailhook(
    ctx: Ctx, actor: Caller, owner: OwnerParam, given: hooks.NewEmailhook, request: Request
) -> hooks.Emailhook:
    def work(tx: Tx) -> hooks.Emailhook:
        made = notifications.add_emailhook(tx, actor, owner, given.model_dump())
        record(tx, actor, "emailhook.add", owner_id=made.owner_id, subject=made.id, request=request)
        return _emailhook(made, 0)

    return await ctx.write(work)


@router.delete(MAIL + "/{id}", status_code=204)
async def remove_emailhook(ctx: Ctx, actor: Caller, owner: OwnerParam, id: str, request: Request) -> Response:
    def work(tx: Tx) -> None:
        found = notifications.remove_hook(tx, actor, owner, id, "email")
        record(tx, actor, "emailhook.remove", owner_id=found.owner_id, subject=id, request=request)

    await ctx.write(work)
    return Response(status_code=204)


@router.get(MAIL + "/{id}/deliveries")
async def emailhook_deliveries(ctx: Ctx, actor: Caller, owner: OwnerParam, id: str) -> list[hooks.DeliveryObject]:
    def look(conn: sa.Connection) -> list[hooks.DeliveryObject]:
        return [_delivery(each) for each in notifications.deliveries(conn, actor, owner, id, "email")]

    return await ctx.read(look)
