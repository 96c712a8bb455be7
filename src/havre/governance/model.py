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
    WRITE = "write"  # apps: create, change, deploy, stop
    DELETE = "delete"  # take apps away for good
    ADMIN = "admin"  # members, the organisation itself


RIGHTS: dict[Role, frozenset[Right]] = {
    Role.ADMIN: frozenset(Right),
    Role.MANAGER: frozenset({Right.READ, Right.WRITE, Right.DELETE}),
    Role.DEVELOPER: frozenset({Right.READ, Right.WRITE}),
    Role.ACCOUNTING: frozenset({Right.READ}),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. `is_operator` rules the installation, not other people's organisations."""

    user_id: UserId
    name: str
    email: str
    is_operator: bool = False
    token: str = ""


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
