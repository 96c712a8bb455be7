"""Lines of an app's activity beside its deployments: what the platform did, or saw, by itself.

The contract knows no other list than that of deployments, so each is one of those: done, by the platform, and of the
deployment that served.
"""

from __future__ import annotations

from dataclasses import replace

from havre.apps import tables
from havre.apps.model import Action, Deployment, DeploymentState
from havre.base.ids import new_deployment_id
from havre.kernel.store import Tx

CAUSE_LIMIT = 240
AGAIN_MS = 24 * 3_600_000
LAST = 50  # more lines of strains than all bounds of an app give in that time


def add(tx: Tx, of: Deployment, action: Action, *, cause: str) -> None:
    """One line more."""
    made = replace(
        of,
        id=new_deployment_id(),
        number=tables.next_number(tx.conn, of.app_id),
        state=DeploymentState.OK,
        action=action,
        cause=cause[:CAUSE_LIMIT],
        author_id="",
        author_name="Havre",
        operation_id=None,
        release_id=None,
        instances=1,
        error="",
        created_at=tx.now,
        ended_at=tx.now,
    )
    tables.insert_deployment(tx, made)


def add_strain(tx: Tx, of: Deployment, *, cause: str) -> None:
    """The line of a bound, once a day for all instances of an app: it must not hide what was deployed."""
    rows = tables.deployments(tx.conn, of.app_id, limit=LAST, action=Action.STRAIN)
    if not any(each.cause == cause[:CAUSE_LIMIT] and each.created_at > tx.now - AGAIN_MS for each in rows):
        add(tx, of, Action.STRAIN, cause=cause)
