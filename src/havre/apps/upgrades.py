"""Running apps move to the stack that their packages have today: `havre stacks upgrade`.

A durable operation looks, once, what each app would move to, and then writes a deployment for those that have
something to gain. Such a deployment serves the same release with the same variables; it is built again only when the
new stack lacks what the old one had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from havre.apps import stacks, tables
from havre.apps.intents import Intents
from havre.apps.model import App, Deployment, DeploymentState
from havre.apps.work import PLAN, Work
from havre.base.errors import HavreError, InvalidError, NotFoundError
from havre.base.ids import OperationId, UserId
from havre.drivers import debian
from havre.governance import Actor, authorise_operator
from havre.kernel.operations import Operation, Run, Step
from havre.kernel.store import Tx

KEY = "stacks"  # one upgrade at a time
CAUSE = "Stack upgrade"


@dataclass(frozen=True)
class UpgradeArgs:
    app_ids: tuple[str, ...]
    actor_id: str
    actor_name: str


@dataclass(frozen=True)
class Move:
    """What an app would move to. changes: package by package; none: it has today's packages, or `problem` says why."""

    app_id: str
    app_name: str
    old: str
    new: str
    changes: tuple[str, ...] = ()
    rebuilds: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Upgrade:
    """An upgrade as it is read while it runs and after: each move with its deployment, if there is one by now."""

    id: str
    status: str
    error: str
    moves: tuple[tuple[Move, Deployment | None], ...]


class Upgrades:
    """Asks for upgrades, carries them out, shows them."""

    def __init__(self, work: Work, intents: Intents) -> None:
        self._work = work
        self._intents = intents
        self._look: Step[UpgradeArgs, tuple[Move, ...]] = Step("look", self._look_at_all)
        self._deploy: Step[UpgradeArgs, dict[str, str]] = Step("deploy", self._deploy_moves, final=True)
        self.operation = Operation("apps.upgrade", UpgradeArgs, (self._look, self._deploy))

    def ask(self, tx: Tx, actor: Actor, wanted: Sequence[str], *, all_of_them: bool) -> OperationId:
        """Start an upgrade of apps by id or name, or of all that run; for operators.

        Raises NotFoundError and InvalidError naming the app that is unknown, ambiguous or not running.
        """
        authorise_operator(actor)
        running = {each.id: each for each in tables.apps(tx.conn) if each.serving is not None and not each.deleted}
        ids = tuple(running) if all_of_them else tuple(_find(running.values(), name) for name in wanted)
        if not ids:
            raise InvalidError("no app runs" if all_of_them else "name the apps to upgrade, or say that all are meant")
        args = UpgradeArgs(tuple(dict.fromkeys(ids)), actor.user_id, actor.name)
        return self._work.kernel.operations.start(tx, self.operation, args, key=KEY)

    def view(self, conn: sa.Connection, actor: Actor, id: str) -> Upgrade:
        """Raises NotFoundError."""
        authorise_operator(actor)
        operations = self._work.kernel.operations
        found = operations.view(conn, OperationId(id))
        if found is None or found.kind != self.operation.kind:
            raise NotFoundError("there is no such upgrade")
        moves = operations.result(conn, found.id, self._look) or ()
        made = operations.result(conn, found.id, self._deploy) or {}
        rows = {move.app_id: tables.deployment(conn, move.app_id, made.get(move.app_id, "")) for move in moves}
        return Upgrade(found.id, found.status, found.error, tuple((move, rows[move.app_id]) for move in moves))

    # steps

    async def _look_at_all(self, run: Run[UpgradeArgs]) -> tuple[Move, ...]:
        found = []
        for id in run.args.app_ids:
            await run.progress(f"looking at {id}")
            move = await self._look_at(id)
            found += [move] if move is not None else []
        return tuple(found)

    async def _look_at(self, id: str) -> Move | None:
        """None for an app that serves nothing (any more)."""

        def read(conn: sa.Connection) -> tuple[App, str, dict[str, Any]] | None:
            app = tables.app(conn, id)
            deployment = tables.deployment(conn, id, app.serving) if app is not None and app.serving else None
            release = tables.release(conn, deployment.release_id or "") if deployment is not None else None
            up = [each.stack for each in tables.instances(conn, app_id=id) if each.deployment_id == app.serving]  # type: ignore[union-attr]
            return (
                (app, up[0] if up else release.stack, release.plan) if app is not None and release is not None else None
            )

        known = await self._work.kernel.store.read(read)
        if known is None:
            return None
        app, old, plan = known
        have = self._work.stacks
        if have is None:
            return Move(id, app.name, old, "", problem="there are no stacks on this machine: it has no apt-get")
        try:
            asked = stacks.run_packages(PLAN.validate_python(plan))
            closure = await have.today(asked, fresh_s=stacks.FRESH_S)
        except HavreError as error:
            return Move(id, app.name, old, "", problem=error.message)
        before, new = have.get(old) if old else None, have.id_of(closure)
        if new == old:
            return Move(id, app.name, old, new)
        if before is None:
            why = "all: its stack is not there any more" if old else "all: it saw the programs of this machine"
            return Move(id, app.name, old, new, (why,), rebuilds=True)
        changes = debian.differences(before.closure, closure) or ("how stacks are made",)
        return Move(id, app.name, old, new, changes, rebuilds=not debian.may_follow(before.closure, closure))

    async def _deploy_moves(self, run: Run[UpgradeArgs]) -> dict[str, str]:
        """A deployment for each move, in one transaction; a repeat finds those that are there."""
        actor = Actor(UserId(run.args.actor_id), run.args.actor_name, "", is_operator=True)
        moves = [each for each in run.result(self._look) if each.changes]

        def write(tx: Tx) -> dict[str, str]:
            made = {}
            for each in moves:
                found = _under_way(tx.conn, each.app_id, run.created_at)
                app = tables.app(tx.conn, each.app_id)
                if found is None and app is not None and app.serving is not None and not app.deleted:
                    found = self._intents.serve_again(tx, actor, app, cause=CAUSE)
                if found is not None:
                    made[each.app_id] = str(found.id)
            return made

        return await self._work.kernel.store.write(write)


def _find(running: Any, wanted: str) -> str:
    found = [each for each in running if wanted in (each.id, each.name)]
    if not found:
        raise NotFoundError(f"no app {wanted} runs here")
    if len(found) > 1:
        raise InvalidError(
            f"{len(found)} apps are named {wanted}; say which by its id: {', '.join(e.id for e in found)}"
        )
    return str(found[0].id)


def _under_way(conn: sa.Connection, app_id: str, since: int) -> Deployment | None:
    """The deployment that this upgrade made before it was interrupted."""
    for each in tables.deployments(conn, app_id, limit=5):
        if each.cause == CAUSE and each.created_at >= since and each.state is not DeploymentState.CANCELLED:
            return each
    return None
