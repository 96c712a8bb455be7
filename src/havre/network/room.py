"""The room as the daemon runs it: migrations carried on by a reconciler, and what people ask of them, for operators."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from havre.base.errors import NotFoundError
from havre.governance import Actor, authorise_operator
from havre.kernel.kernel import Kernel
from havre.kernel.reconcile import Pass, Reconciler
from havre.kernel.rooms import Health, Loop, Room
from havre.kernel.store import Tx
from havre.network import intents, operations, proof, tables
from havre.network.model import Observers
from havre.network.operations import Operations
from havre.network.probes.keeper import STREAMS, Keeper
from havre.network.tables import Evidence, Migration

if TYPE_CHECKING:
    from havre.network.work import Work

PASS_S = 30.0
PROBERS_S = 0.5  # between two looks at who has to run, while somebody has


def setup(kernel: Kernel) -> Room:
    """The room."""
    made = _operations(kernel)

    async def carry_on() -> Pass:
        found = await kernel.store.read(tables.migrations)
        if all(each.is_paused or each.stage == each.goal for each in found):
            return Pass(wanted=len(found))  # nothing is written for the events of others
        begun = await kernel.store.write(partial(intents.drive, engine=kernel.operations, made=made))
        return Pass(changed=begun)

    async def keep_probers() -> None:
        keeper, known = Keeper(_folder(kernel) / STREAMS), dict[str, Observers]()
        try:
            async with kernel.bus.subscribe("network.") as wakes:
                while True:
                    found = await kernel.store.read(tables.migrations)
                    under_way = [each for each in found if not each.is_paused and each.stage != each.goal]
                    known = {each.id: known.get(each.id) or intents.parsed(each.intent).observers for each in under_way}
                    keeper.keep(known)
                    if known:
                        await kernel.clock.sleep(PROBERS_S)
                    else:
                        await wakes.receive()
        finally:
            keeper.end()

    async def health() -> Health:
        found = await kernel.store.read(tables.migrations)
        stopped = [
            f"migration {each.id}: {each.note}" for each in found if each.is_paused and each.note not in ("", "paused")
        ]
        under_way = sum(1 for each in found if not each.is_paused and each.stage != each.goal)
        return Health(error="; ".join(stopped), backlog=under_way, figures={"migrations": float(len(found))})

    return Room(
        "network",
        schema=tables.SCHEMA,
        operations=(made.advance, made.retreat),
        reconcilers=(
            Reconciler("network.migrations", carry_on, wake_on=("network.", "kernel.operation."), every_s=PASS_S),
        ),
        loops=(Loop("network.probers", keep_probers),),
        health=health,
    )


def _folder(kernel: Kernel) -> Path:
    return kernel.paths.data / "network"


def _operations(kernel: Kernel) -> Operations:
    @cache
    def work() -> Work:
        from havre.network.work import Work

        return Work(kernel.store, kernel.operations, kernel.clock, _folder(kernel))

    return operations.operations(work)


def migrations(conn: sa.Connection, actor: Actor) -> list[Migration]:
    """All of them, the oldest first. Raises DeniedError."""
    authorise_operator(actor)
    return tables.migrations(conn)


def migration(conn: sa.Connection, actor: Actor, id: str) -> tuple[Migration, list[Evidence]]:
    """One, and what was seen and done on its way. Raises NotFoundError, DeniedError."""
    authorise_operator(actor)
    found = tables.migration(conn, id)
    if found is None:
        raise NotFoundError(f"there is no migration {id!r}")
    return found, tables.evidence(conn, id)


def proof_of(conn: sa.Connection, actor: Actor, id: str) -> str:
    """The proof file. Raises NotFoundError, DeniedError."""
    return proof.text(*migration(conn, actor, id))


def begin(tx: Tx, actor: Actor, *, id: str, content: str, goal: str) -> None:
    authorise_operator(actor)
    intents.begin(tx, id=id, content=content, goal=goal)


def confirm(tx: Tx, actor: Actor, *, id: str, what: str, words: str) -> None:
    authorise_operator(actor)
    intents.confirm(tx, id=id, what=what, words=words)


def pause(tx: Tx, actor: Actor, *, id: str) -> None:
    authorise_operator(actor)
    intents.pause(tx, id=id)


def resume(tx: Tx, actor: Actor, *, id: str, goal: str) -> None:
    authorise_operator(actor)
    intents.resume(tx, id=id, goal=goal)


def revert(tx: Tx, actor: Actor, kernel: Kernel, *, id: str) -> str:
    """Returns what is done, in words."""
    authorise_operator(actor)
    return intents.revert(tx, kernel.operations, _operations(kernel), id=id)
