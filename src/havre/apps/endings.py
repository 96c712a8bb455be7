"""How a deployment's row ends: once, with the event that watchers wait for."""

from __future__ import annotations

from havre.apps import tables
from havre.apps.model import DeploymentState
from havre.kernel.store import Tx


def end_deployment(tx: Tx, app_id: str, deployment_id: str, state: DeploymentState, *, error: str = "") -> None:
    """End the deployment's row, if it has not ended yet."""
    if not tables.end_deployment(tx, deployment_id, state, error=error):
        return
    app, made = tables.app(tx.conn, app_id), tables.deployment(tx.conn, app_id, deployment_id)
    if app is not None and made is not None:
        facts = {"deployment": made.id, "state": made.state, "action": made.action, "commit": made.commit_id}
        facts |= {"cause": made.cause, "author": made.author_id}
        tx.emit("apps.deployment.ended", owner_id=app.owner_id, actor_id=made.author_id, subject=app_id, **facts)
