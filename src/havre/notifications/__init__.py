"""Notifications: webhooks and e-mails about what happens, and the letters of the platform itself. See README.md."""

from __future__ import annotations

from havre.base.errors import InvalidError
from havre.kernel.kernel import Kernel
from havre.kernel.reconcile import Pass, Reconciler
from havre.kernel.rooms import Health, Room
from havre.notifications import tables
from havre.notifications.decide import public_events, raw
from havre.notifications.delivering import Delivering, NameOf, wakes
from havre.notifications.intents import (
    FORMATS,
    add_emailhook,
    add_webhook,
    deliveries,
    drop_owner,
    hooks,
    outbox,
    post,
    remove_hook,
)
from havre.notifications.model import EVENTS, META, Delivery, Hook, PublicEvent
from havre.notifications.tables import SCHEMA

__all__ = [
    "EVENTS", "FORMATS", "META", "SCHEMA", "Delivery", "Hook", "PublicEvent", "add_emailhook", "add_webhook",
    "deliveries", "drop_owner", "hooks", "outbox", "post", "public_events", "raw", "remove_hook", "setup",
]  # fmt: skip


def setup(kernel: Kernel, *, name_of: NameOf) -> Room:
    """The room. `name_of` tells what people call an app. Raises InvalidError for settings that mean nothing."""
    if kernel.config.mail.tls not in ("no", "if-offered", "starttls", "tls"):
        raise InvalidError("[mail] tls is no, if-offered, starttls or tls")
    if kernel.config.outbound.loopback not in ("auto", "yes", "no"):
        raise InvalidError("[outbound] loopback is auto, yes or no")
    delivering = Delivering(kernel, name_of=name_of)

    async def deliver() -> Pass:
        await delivering.write_down()
        return await delivering.deliver()

    async def health() -> Health:
        return Health(backlog=await kernel.store.read(tables.waiting))

    return Room(
        "notifications",
        tables.SCHEMA,
        reconcilers=(
            Reconciler("notifications.deliver", deliver, wake_on=wakes(), every_s=60),
            Reconciler("notifications.retention", delivering.forget, every_s=3600),
        ),
        health=health,
    )
