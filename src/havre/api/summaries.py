"""The summary: the CLI's first question of nearly every command, so it is read and written in one go.

Of a thousand apps most of the time would go into structs that are made only to be written: here they are plain
dictionaries with the fields of `wire.models.Summary`, and a test holds them to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import sqlalchemy as sa
from pydantic_core import to_json

from havre import governance
from havre.apps import linked, runtimes
from havre.governance import Actor, Grant, Owner, consumers
from havre.kernel.config import Config
from havre.wire import models, people


def summary(conn: sa.Connection, actor: Actor, config: Config) -> bytes:
    """As JSON. Of the person's own space too, as an organisation: the CLI would take a thing listed twice for two."""
    governance.require_grant(actor, Grant.ACCESS_ORGANISATIONS)
    user = models.SummaryUser(id=actor.user_id, name=actor.name, email=actor.email, partnerConsoleUrl=config.origin)
    found = [_organisation(conn, actor, owner) for owner in governance.owners_of(conn, actor)]
    return to_json({"user": user.model_dump(), "organisations": found})


def _organisation(conn: sa.Connection, actor: Actor, owner: Owner) -> dict[str, Any]:
    shown = models.SummaryOrganisation(id=owner.id, name=owner.name, role=owner.role, applications=[])
    listed = linked.outlines(conn, owner.id)
    tags = linked.all_tags(conn, owner.id) if listed else {}
    found = shown.model_dump()
    found["applications"] = [_app(each, tags.get(each.id)) for each in listed]
    found["consumers"] = [
        people.SummaryConsumer(key=row.key, name=row.name, url=row.url, picture=row.picture).model_dump()
        for row in consumers.consumers_of(conn, actor, owner.id)
    ]
    return found


def _app(each: Any, tags: list[str] | None) -> dict[str, Any]:
    return {
        "id": each.id,
        "name": each.name,
        **_of_runtime(each.runtime),
        "homogeneous": each.homogeneous,
        "state": each.state,
        "commit": each.commit_id,
        "customerTags": tags or [],
    }


@cache
def _of_runtime(slug: str) -> Mapping[str, Any]:
    runtime = runtimes.of(slug)
    shown = {"instanceType": runtime.type, "instanceVariant": runtime.variant_id, "variantSlug": runtime.slug}
    return shown | {"variantLogoUrl": "", "archived": False, "systemTags": []}
