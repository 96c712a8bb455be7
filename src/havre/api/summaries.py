"""The summary: the CLI's first question of nearly every command, so it is read and written in one go."""

from __future__ import annotations

import sqlalchemy as sa
from pydantic import TypeAdapter

from havre import apps, governance
from havre.api import render
from havre.apps import linked
from havre.governance import Actor, Grant, consumers
from havre.kernel.config import Config
from havre.wire import models, people

_SUMMARY = TypeAdapter(models.Summary)


def summary(conn: sa.Connection, actor: Actor, config: Config) -> bytes:
    """As JSON. Of the person's own space too, as an organisation: the CLI would take a thing listed twice for two."""
    governance.require_grant(actor, Grant.ACCESS_ORGANISATIONS)
    user = models.SummaryUser(id=actor.user_id, name=actor.name, email=actor.email, partnerConsoleUrl=config.origin)
    found = []
    for owner in governance.owners_of(conn, actor):
        listed = apps.views.apps_of(conn, actor, owner.id)
        tags = linked.all_tags(conn, owner.id) if listed else {}
        shown = [
            people.SummaryConsumer(key=row.key, name=row.name, url=row.url, picture=row.picture)
            for row in consumers.consumers_of(conn, actor, owner.id)
        ]
        found.append(
            models.SummaryOrganisation(
                id=owner.id,
                name=owner.name,
                role=owner.role,
                applications=[render.summary_application(each, tags.get(each.id, ())) for each in listed],
                consumers=shown,
            )
        )
    return _SUMMARY.dump_json(models.Summary(user=user, organisations=found))
