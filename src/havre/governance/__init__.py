"""Who is who, who may do what, and what was done by whom.

Every door asks `authorise`; nothing else decides about access. The room's page is README.md.
"""

from __future__ import annotations

import dataclasses
from functools import partial

from havre.governance import accounts, consumers, organisations, signatures, totp
from havre.governance.authentication import (
    CLI_CONSUMER,
    IsNew,
    Pair,
    authenticate_bearer,
    authenticate_key,
    authenticate_pair,
    authenticate_session,
    check_signature,
    pair,
    read_signature,
)
from havre.governance.intents import (
    add_person,
    bind_cli_token,
    bootstrap,
    new_credentials,
    personal_owner,
    take_cli_token,
)
from havre.governance.model import Actor, Credentials, Grant, Owner, Person, Quota, Right, Role
from havre.governance.retention import forget_old
from havre.governance.rules import (
    authorise,
    authorise_operator,
    can,
    owners_of,
    require_grant,
    require_person,
    resolve_owner,
)
from havre.governance.tables import (
    SCHEMA,
    audit_of,
    delete_tokens_of,
    insert_audit,
    members_of,
    owner,
    owners,
    people,
    person,
    person_by_email,
    token,
    tokens_of,
)
from havre.kernel.kernel import Kernel
from havre.kernel.reconcile import Pass, Reconciler
from havre.kernel.rooms import Room

__all__ = [
    "CLI_CONSUMER", "SCHEMA", "Actor", "Credentials", "Grant", "IsNew", "Owner", "Pair", "Person", "Quota", "Right",
    "Role", "accounts", "add_person", "audit_of", "authenticate_bearer", "authenticate_key", "authenticate_pair",
    "authenticate_session", "authorise", "authorise_operator", "bind_cli_token", "bootstrap", "can",
    "check_signature", "consumers", "delete_tokens_of", "insert_audit", "members_of", "new_credentials",
    "organisations", "owner", "owners", "owners_of", "pair", "people", "person", "person_by_email",
    "personal_owner", "read_signature", "require_grant", "require_person", "resolve_owner", "setup", "signatures",
    "take_cli_token", "token", "tokens_of", "totp", "with_password",
]  # fmt: skip


def with_password(given: Credentials, password: str) -> Credentials:
    """The same, with a password that the person chose."""
    return dataclasses.replace(given, password=password)


def setup(kernel: Kernel) -> Room:
    """The room, with the retention of its audit and of what has expired."""

    async def forget() -> Pass:
        return Pass(changed=await kernel.store.write(partial(forget_old, now=kernel.aging.now())))

    return Room("governance", SCHEMA, reconcilers=(Reconciler("governance.retention", forget, every_s=3600),))
