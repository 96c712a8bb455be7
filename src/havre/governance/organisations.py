"""Organisations and their people: made, invited, given a role, gone. Accounts by operators, quotas."""

from __future__ import annotations

import random

import sqlalchemy as sa

from havre.base import names
from havre.base.errors import ConflictError, ExhaustedError, InvalidError, NotFoundError
from havre.base.ids import OwnerId, new_owner_id
from havre.governance import account_tables, accounts, chance, consumer_tables, rules, tables
from havre.governance.model import Actor, Owner, Quota, Right, Role
from havre.kernel.store import Tx

INVITATION_MS = 7 * 86_400_000


def create_owner(tx: Tx, actor: Actor, *, name: str) -> Owner:
    """A new organisation, `actor` its administrator."""
    rules.require_person(actor)
    id = new_owner_id()
    display = names.display_name(name, what="an organisation")
    tables.insert_owner(tx, id=id, name=display, is_personal=False)
    tables.put_member(tx, owner_id=id, person_id=actor.user_id, role=Role.ADMIN)
    tx.emit("governance.owner.created", owner_id=id, actor_id=actor.user_id, subject=id)
    return Owner(id, display, Role.ADMIN, False, tx.now)


def rename_owner(tx: Tx, actor: Actor, owner_id: str, *, name: str) -> Owner:
    owner = rules.authorise(tx.conn, actor, owner_id, Right.ADMIN)
    display = names.display_name(name, what="an organisation")
    tables.update_owner(tx, owner.id, name=display)
    tx.emit("governance.owner.changed", owner_id=owner.id, actor_id=actor.user_id, subject=owner.id)
    return Owner(owner.id, display, owner.role, owner.is_personal, owner.created_at)


def delete_owner(tx: Tx, actor: Actor, owner_id: str) -> Owner:
    """Whoever holds things of an organisation refuses before (`apps`). Raises ConflictError for a personal space."""
    owner = rules.authorise(tx.conn, actor, owner_id, Right.ADMIN)
    rules.require_person(actor)
    if owner.is_personal:
        raise ConflictError("a personal space goes with its person's account")
    for row in consumer_tables.consumers_of(tx.conn, [owner.id]):
        consumer_tables.delete_consumer(tx, row.key)
    tables.delete_owner(tx, owner.id)
    tx.emit("governance.owner.deleted", owner_id=owner.id, actor_id=actor.user_id, subject=owner.id)
    return owner


# members


def put_member(tx: Tx, actor: Actor, *, owner_id: str, email: str, role: Role, rng: random.Random) -> str | None:
    """Somebody with an account here is a member at once (None); else returns the proof that accepts, to be sent."""
    owner = rules.authorise(tx.conn, actor, owner_id, Right.ADMIN)
    if owner.is_personal:
        raise ConflictError("a personal space has no other members; make an organisation")
    address = accounts.email(email)
    person = tables.person_by_email(tx.conn, address)
    if person is not None:
        _set_role(tx, actor, owner, person.id, role)
        return None
    proof = chance.text(rng, 43)
    values = {"digest": chance.digest(proof), "owner_id": owner.id, "email": address}
    consumer_tables.insert_invitation(tx, **values, role=role)
    tx.emit("governance.member.invited", owner_id=owner.id, actor_id=actor.user_id, subject=owner.id, role=role)
    return proof


def change_member(tx: Tx, actor: Actor, *, owner_id: str, person_id: str, role: Role) -> None:
    owner = rules.authorise(tx.conn, actor, owner_id, Right.ADMIN)
    if tables.membership(tx.conn, owner_id=owner.id, person_id=person_id) is None:
        raise NotFoundError("there is no such member")
    _set_role(tx, actor, owner, person_id, role)


def _set_role(tx: Tx, actor: Actor, owner: Owner, person_id: str, role: Role) -> None:
    if role is not Role.ADMIN:
        _keep_an_admin(tx.conn, owner, person_id)
    tables.put_member(tx, owner_id=owner.id, person_id=person_id, role=role)
    tx.emit("governance.member.put", owner_id=owner.id, actor_id=actor.user_id, subject=person_id, role=role)


def remove_member(tx: Tx, actor: Actor, *, owner_id: str, person_id: str) -> None:
    """One may always leave; to remove somebody else is for administrators."""
    leaves = person_id in ("self", actor.user_id)
    owner = rules.authorise(tx.conn, actor, owner_id, Right.READ if leaves else Right.ADMIN)
    rules.require_person(actor)
    id = actor.user_id if leaves else person_id
    if owner.is_personal:
        raise ConflictError("nobody leaves their own space")
    if tables.membership(tx.conn, owner_id=owner.id, person_id=id) is None:
        raise NotFoundError("there is no such member")
    _keep_an_admin(tx.conn, owner, id)
    tables.delete_member(tx, owner_id=owner.id, person_id=id)
    tx.emit("governance.member.removed", owner_id=owner.id, actor_id=actor.user_id, subject=id)


def _keep_an_admin(conn: sa.Connection, owner: Owner, person_id: str) -> None:
    admins = [row.id for row in tables.members_of(conn, owner.id) if row.role == Role.ADMIN]
    if admins == [person_id]:
        raise ConflictError("an organisation keeps an administrator: make somebody else one first")


# invitations


def invitation(conn: sa.Connection, proof: str, *, now: int) -> tuple[tables.Row, tables.Row]:
    """The invitation and its organisation. Raises NotFoundError when it is over."""
    found = consumer_tables.invitation(conn, chance.digest(proof))
    owner = tables.owner(conn, found.owner_id) if found is not None else None
    if found is None or owner is None or now - found.created_at > INVITATION_MS:
        raise NotFoundError("this invitation is not valid any more; ask for a new one")
    return found, owner


def accept(tx: Tx, proof: str, actor: Actor) -> str:
    """`actor` joins; returns the organisation's name."""
    rules.require_person(actor)
    found, owner = invitation(tx.conn, proof, now=tx.now)
    if tables.membership(tx.conn, owner_id=owner.id, person_id=actor.user_id) is None:
        tables.put_member(tx, owner_id=owner.id, person_id=actor.user_id, role=found.role)
        facts = {"actor_id": actor.user_id, "subject": actor.user_id, "role": found.role}
        tx.emit("governance.member.put", owner_id=owner.id, **facts)
    consumer_tables.delete_invitation(tx, found.digest)
    return str(owner.name)


# accounts, by operators


def remove_person(tx: Tx, actor: Actor, person_id: str) -> None:
    """The account, its credentials and its empty personal space. Whoever holds things of the space refuses before."""
    rules.authorise_operator(actor)
    person = tables.person(tx.conn, person_id)
    if person is None:
        raise NotFoundError("there is no such person")
    if person.id == actor.user_id:
        raise ConflictError("an operator does not remove themselves")
    for row in tables.owners_of(tx.conn, person_id):
        if not row.is_personal:
            _keep_an_admin(tx.conn, Owner(OwnerId(row.id), row.name, Role(row.role), False, row.created_at), person_id)
    tables.delete_person(tx, person_id)
    tables.delete_owner(tx, person.personal_owner_id)
    tx.emit("governance.person.removed", actor_id=actor.user_id, subject=person_id)


def reset_person(tx: Tx, actor: Actor, person_id: str, *, rng: random.Random) -> str:
    """A new password for somebody who lost theirs; the second factor goes, all sessions and tokens end."""
    rules.authorise_operator(actor)
    if tables.person(tx.conn, person_id) is None:
        raise NotFoundError("there is no such person")
    password = chance.text(rng, 20)
    accounts.set_password(tx, person_id, password, rng=rng)
    accounts.clear_factor(tx, person_id)
    revoke_credentials(tx, actor, person_id)
    return password


def revoke_credentials(tx: Tx, actor: Actor, person_id: str) -> int:
    """Every session and token of a person ends; returns how many tokens there were."""
    rules.authorise_operator(actor)
    if tables.person(tx.conn, person_id) is None:
        raise NotFoundError("there is no such person")
    but = actor.token if person_id == actor.user_id else ""
    account_tables.delete_sessions(tx, person_id, but=but)
    ended = account_tables.delete_api_tokens(tx, person_id) + tables.delete_tokens_of(tx, person_id, but=but)
    tx.emit("governance.person.signed_out", actor_id=actor.user_id, subject=person_id)
    return ended


# quotas


def quota(conn: sa.Connection, owner_id: str, *, default: Quota) -> Quota:
    """What an organisation may have; 0 means no limit."""
    row = consumer_tables.quota(conn, owner_id)
    return Quota(row.apps, row.instances) if row is not None else default


def set_quota(tx: Tx, actor: Actor, owner_id: str, wanted: Quota) -> None:
    rules.authorise_operator(actor)
    if tables.owner(tx.conn, owner_id) is None:
        raise NotFoundError(rules.UNKNOWN_OWNER)
    if wanted.apps < 0 or wanted.instances < 0 or max(wanted.apps, wanted.instances) > 1_000_000:
        raise InvalidError("a quota is a number from 0 (no limit) to 1000000")
    consumer_tables.put_quota(tx, owner_id, apps=wanted.apps, instances=wanted.instances)
    tx.emit("governance.quota.set", owner_id=owner_id, actor_id=actor.user_id, subject=owner_id)


def check_quota(found: Quota, *, apps: int, instances: int) -> None:
    """Raises ExhaustedError when `apps` apps with `instances` instances in all are more than allowed."""
    if found.apps and apps > found.apps:
        raise ExhaustedError(f"this organisation may have {found.apps} applications; ask an operator for more")
    if found.instances and instances > found.instances:
        raise ExhaustedError(f"this organisation may have {found.instances} instances; ask an operator for more")
