"""What operators may read of stacks: which there are, what is in them, who runs on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from havre.apps import tables
from havre.apps.model import App
from havre.base.errors import NotFoundError
from havre.drivers.debian import Stack, Stacks
from havre.governance import Actor, authorise_operator


@dataclass(frozen=True, slots=True)
class StackUse:
    """A stack and the apps with instances on it. is_needed: here or by another installation of this machine."""

    stack: Stack
    apps: tuple[App, ...]
    is_needed: bool


class StackViews:
    """The stacks of this machine, as operators see them."""

    def __init__(self, stacks: Stacks | None) -> None:
        self._stacks = stacks

    @property
    def are_there(self) -> bool:
        """Whether this machine can have stacks at all."""
        return self._stacks is not None

    def all(self) -> Callable[[sa.Connection, Actor], Sequence[StackUse]]:
        """Looks at the disk, and returns what then reads the state. The oldest first."""
        found = self._stacks.all() if self._stacks is not None else []
        claimed = self._stacks.claimed() if self._stacks is not None else frozenset()

        def look(conn: sa.Connection, actor: Actor) -> Sequence[StackUse]:
            authorise_operator(actor)
            apps = {each.id: each for each in tables.apps(conn)}
            users: dict[str, dict[str, App]] = {}
            for each in tables.instances(conn):
                users.setdefault(each.stack, {})[each.app_id] = apps[each.app_id]
            needed = claimed | {each.stack for each in tables.releases(conn)} | users.keys()
            return [StackUse(each, tuple(users.get(each.id, {}).values()), each.id in needed) for each in found]

        return look

    def one(self, id: str) -> Callable[[sa.Connection, Actor], StackUse]:
        """As `all`. Raises NotFoundError."""
        look = self.all()

        def find(conn: sa.Connection, actor: Actor) -> StackUse:
            for each in look(conn, actor):
                if each.stack.id == id:
                    return each
            raise NotFoundError(f"there is no stack {id}")

        return find
