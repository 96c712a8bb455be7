"""Who is who, who may do what, and what was done by whom.

Every door asks `authorise`; nothing else decides about access. The room's page is README.md.
"""

from __future__ import annotations

from havre.governance.intents import (
    CLI_CONSUMER,
    add_person,
    authenticate_oauth,
    authenticate_pair,
    bind_cli_token,
    bootstrap,
    create_owner,
    new_credentials,
    personal_owner,
    put_member,
    sign_in,
    take_cli_token,
)
from havre.governance.model import Actor, Credentials, Owner, Person, Right, Role
from havre.governance.rules import authorise, authorise_operator, owners_of, resolve_owner
from havre.governance.tables import SCHEMA, audit_of, delete_token, insert_audit, members_of, people, token
from havre.governance.tables import forget_audit as _forget_audit
from havre.kernel.kernel import Kernel
from havre.kernel.reconcile import Pass, Reconciler
from havre.kernel.rooms import Room

__all__ = [
    "CLI_CONSUMER", "Actor", "Credentials", "Owner", "Person", "Right", "Role", "add_person", "audit_of",
    "authenticate_oauth", "authenticate_pair", "authorise", "authorise_operator", "bind_cli_token", "bootstrap",
    "create_owner", "delete_token", "insert_audit", "members_of", "new_credentials", "owners_of", "people",
    "personal_owner", "put_member", "resolve_owner", "setup", "sign_in", "take_cli_token", "token",
]  # fmt: skip

AUDIT_KEPT_MS = 400 * 86_400_000


def setup(kernel: Kernel) -> Room:
    """The room, with the retention of its audit."""

    async def forget() -> Pass:
        return Pass(changed=await kernel.store.write(lambda tx: _forget_audit(tx, before=tx.now - AUDIT_KEPT_MS)))

    return Room("governance", SCHEMA, reconcilers=(Reconciler("governance.retention", forget, every_s=86_400),))
