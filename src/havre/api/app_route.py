"""What every route about one app begins with: its address, how it is found, how it is shown."""

from __future__ import annotations

import sqlalchemy as sa

from havre import edge, governance
from havre.api import render
from havre.api.context import Context
from havre.apps import App, linked, views
from havre.governance import Actor, Right
from havre.wire import models

APP = "/applications/{app_id}"


def found(conn: sa.Connection, actor: Actor, owner: str, app_id: str, right: Right = Right.READ) -> App:
    """`/v2/self/applications/{id}` finds an app in any organisation of the caller."""
    return views.find(conn, actor, None if owner == "self" else owner, app_id, right)


def shown(ctx: Context, conn: sa.Connection, actor: Actor, app: App) -> models.Application:
    """The app as `actor` may see it: without its variables for who may not look inside."""
    owner = governance.authorise(conn, actor, app.owner_id, Right.READ)
    env = views.env_of(conn, app) if governance.can(actor, owner, Right.LOOK_INSIDE) else {}
    return render.application(app, edge.vhosts(conn, app.id), env, linked.tags(conn, app), ctx.kernel.config)
