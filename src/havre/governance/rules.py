"""Who is it, and may they: the one choke point of authorisation.

What a caller may not know exists is answered exactly like what does not exist.
"""

from __future__ import annotations

import sqlalchemy as sa

from havre.base.errors import DeniedError, NotFoundError
from havre.base.ids import OwnerId, UserId
from havre.governance import tables
from havre.governance.model import GRANT_FOR, RIGHTS, Actor, Grant, Owner, Right, Role

UNKNOWN_OWNER = "The organisation cannot be found"


def resolve_owner(conn: sa.Connection, actor: Actor, owner_id: str) -> OwnerId:
    """The organisation that `owner_id` means: `user_…` (one's own only) is the personal one."""
    if owner_id in (actor.user_id, "self"):
        person = tables.person(conn, actor.user_id)
        assert person is not None
        return OwnerId(person.personal_owner_id)
    return OwnerId(owner_id)


def authorise(conn: sa.Connection, actor: Actor, owner_id: str, right: Right) -> Owner:
    """The owner, as `actor` sees it, if `actor` has `right` there.

    Raises NotFoundError when `actor` is no member, DeniedError when the role does not carry the right.
    """
    row = tables.membership(conn, owner_id=resolve_owner(conn, actor, owner_id), person_id=actor.user_id)
    if row is None:
        raise NotFoundError(UNKNOWN_OWNER)
    role = Role(row.role)
    if right not in RIGHTS[role]:
        message = f"your role {role} in {row.name} does not allow this; ask an administrator of it"
        raise DeniedError(message, owner_id=row.id)
    require_grant(actor, GRANT_FOR[right])
    return Owner(OwnerId(row.id), row.name, role, row.is_personal, row.created_at)


def authorise_operator(actor: Actor) -> None:
    """Raises DeniedError unless `actor` rules the installation."""
    if not actor.is_operator or actor.grants is not None:
        raise DeniedError("only an operator of this installation may do this")


def require_grant(actor: Actor, *grants: Grant) -> None:
    """Raises DeniedError when `actor` is a consumer that was given none of `grants`."""
    if actor.grants is not None and not actor.grants & set(grants):
        raise DeniedError(f"this program was not given the right {grants[0]}")


def require_person(actor: Actor) -> None:
    """Raises DeniedError when it is a consumer that asks: credentials are for people to manage."""
    if actor.grants is not None:
        raise DeniedError("only the person may do this, no program in their name")


def owners_of(conn: sa.Connection, actor: Actor) -> list[Owner]:
    """The organisations of `actor`, the personal one first."""
    rows = tables.owners_of(conn, actor.user_id)
    return [Owner(OwnerId(row.id), row.name, Role(row.role), row.is_personal, row.created_at) for row in rows]


def actor_of_row(row: tables.Row) -> Actor:
    return Actor(UserId(row.person_id), row.name, row.email, row.is_operator, row.token)


def can(actor: Actor, owner: Owner, right: Right) -> bool:
    """Whether `actor`, to whom `owner` was shown, also has `right` there."""
    return right in RIGHTS[owner.role] and (actor.grants is None or GRANT_FOR[right] in actor.grants)
