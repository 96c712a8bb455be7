"""The nouns of who may do what: people, owners, roles, rights, credentials."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from havre.base.ids import OwnerId, UserId


class Role(StrEnum):
    """A member's role in an organisation; Clever Cloud's names."""

    ADMIN = "ADMIN"
    MANAGER = "MANAGER"
    DEVELOPER = "DEVELOPER"
    ACCOUNTING = "ACCOUNTING"


class Right(StrEnum):
    """What a request wants to do with an owner's things."""

    READ = "read"
    LOOK_INSIDE = "look inside"  # variables, logs, recipients: what may hold secrets
    WRITE = "write"  # apps: create, change, deploy, stop
    DELETE = "delete"  # take apps away for good
    ADMIN = "admin"  # members, the organisation itself


RIGHTS: dict[Role, frozenset[Right]] = {
    Role.ADMIN: frozenset(Right),
    Role.MANAGER: frozenset({Right.READ, Right.LOOK_INSIDE, Right.WRITE, Right.DELETE}),
    Role.DEVELOPER: frozenset({Right.READ, Right.LOOK_INSIDE, Right.WRITE}),
    Role.ACCOUNTING: frozenset({Right.READ}),
}


class Grant(StrEnum):
    """What a person may give to a consumer; Clever Cloud's names."""

    ACCESS_ORGANISATIONS = "access_organisations"
    ACCESS_BILLS = "access_organisations_bills"
    ACCESS_CONSUMPTION = "access_organisations_consumption_statistics"
    ACCESS_CREDITS = "access_organisations_credit_count"
    ACCESS_PERSON = "access_personal_information"
    MANAGE_ORGANISATIONS = "manage_organisations"
    MANAGE_APPS = "manage_organisations_applications"
    MANAGE_MEMBERS = "manage_organisations_members"
    MANAGE_SERVICES = "manage_organisations_services"
    MANAGE_PERSON = "manage_personal_information"
    MANAGE_SSH_KEYS = "manage_ssh_keys"


GRANT_FOR: dict[Right, Grant] = {
    Right.READ: Grant.ACCESS_ORGANISATIONS,
    Right.LOOK_INSIDE: Grant.MANAGE_APPS,
    Right.WRITE: Grant.MANAGE_APPS,
    Right.DELETE: Grant.MANAGE_APPS,
    Right.ADMIN: Grant.MANAGE_ORGANISATIONS,
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. `is_operator` rules the installation, not other people's organisations.

    via: `oauth`, `api-token`, `session` or `ssh`. grants: what the person gave to the consumer that asks for them;
    None: the person asks.
    """

    user_id: UserId
    name: str
    email: str
    is_operator: bool = False
    token: str = ""
    via: str = "oauth"
    grants: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Person:
    id: UserId
    email: str
    name: str
    personal_owner_id: OwnerId
    is_operator: bool
    created_at: int


@dataclass(frozen=True, slots=True)
class Owner:
    """An organisation as its member sees it. A person's own space is one, too (`is_personal`)."""

    id: OwnerId
    name: str
    role: Role
    is_personal: bool
    created_at: int


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a new person needs to sign in, shown once."""

    user_id: UserId
    owner_id: OwnerId
    email: str
    name: str
    password: str
    token: str
    secret: str
    expires_at: int = 0


@dataclass(frozen=True, slots=True)
class Quota:
    """How many apps, and instances of them in all, an organisation may have; 0: no limit."""

    apps: int = 0
    instances: int = 0
