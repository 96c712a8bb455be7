"""What people may ask of the network: begin a migration, confirm, pause, resume, go back."""

from __future__ import annotations

from havre.base.errors import ConflictError, InvalidError, NotFoundError
from havre.kernel.operations import Operations as Engine
from havre.kernel.store import Tx
from havre.network import decide, tables
from havre.network.decide import State
from havre.network.model import Intent
from havre.network.operations import ArrowArgs, Operations, key_of


def parsed(content: str) -> Intent:
    """The tree, whose reader is loaded when there is one to read. Raises InvalidError with file and line."""
    from havre.network import intent

    return intent.parse(content)


def begin(tx: Tx, *, id: str, content: str, goal: str = "CLEANED", is_paused: bool = False) -> None:
    """Write a migration down, at DRAFT and on its way unless it `is_paused`. Raises InvalidError and ConflictError when
    there is one of the name."""
    wanted = parsed(content)
    if wanted.historical is None or not any(each.old_origin for each in wanted.prefixes):
        raise InvalidError(
            "there is nothing to migrate: no upstream of kind historical, or no prefix with an old_origin"
        )
    if tables.migration(tx.conn, id) is not None:
        raise ConflictError(f"there is a migration {id!r} already")
    tables.insert(
        tx, id=id, intent=content, stage=str(decide.stages(wanted)[0]), goal=str(decide.stage_named(wanted, goal))
    )
    if is_paused:
        tables.change(tx, id, is_paused=True)
    tx.emit("network.migration.begun", subject=id, goal=goal)


def confirm(tx: Tx, *, id: str, what: str, words: str) -> None:
    """A person says that an upstream's filters have us (`t1`), or that the registries do (`registered`)."""
    found = _found(tx, id)
    known = ["registered", *(each.name for each in parsed(found.intent).upstreams)]
    if what not in known:
        raise InvalidError(f"what is confirmed is one of {', '.join(known)}")
    tables.confirm(tx, id, what=what, words=words)
    tables.add_evidence(tx, id, stage=found.stage, kind="confirmed", words=f"{what}: {words or 'confirmed'}", facts={})
    tx.emit("network.migration.confirmed", subject=id, what=what)


def pause(tx: Tx, *, id: str) -> None:
    """Nothing new is begun; what is under way goes to its end."""
    _found(tx, id)
    tables.change(tx, id, is_paused=True, note="paused")
    tx.emit("network.migration.paused", subject=id)


def resume(tx: Tx, *, id: str, goal: str = "") -> None:
    found = _found(tx, id)
    changes = {"goal": str(decide.stage_named(parsed(found.intent), goal))} if goal else {}
    tables.change(tx, id, is_paused=False, note="", **changes)
    tx.emit("network.migration.resumed", subject=id)


def revert(tx: Tx, engine: Engine, made: Operations, *, id: str) -> str:
    """Go back: an arrow under way is cancelled and undone; else the stage that was reached is left. Returns which."""
    found = _found(tx, id)
    tables.change(tx, id, is_paused=True)
    live = [each for each in engine.of_key(tx.conn, key_of(id)) if not each.has_ended]
    if live and live[0].kind == made.advance.kind:
        engine.cancel(tx, live[0].id)
        return f"what was under way is taken back to {found.stage}"
    if live:
        raise ConflictError(f"{id} goes back already")
    if found.stage == State.DRAFT:
        raise ConflictError(f"{id} is at its beginning")
    engine.start(tx, made.retreat, ArrowArgs(id, found.stage), key=key_of(id))
    return f"{found.stage} is left"


def drive(tx: Tx, engine: Engine, made: Operations) -> int:
    """Begin the next arrow of every migration that is on its way; returns how many were begun. For the reconciler."""
    begun = 0
    for each in tables.migrations(tx.conn):
        if each.is_paused or each.stage == each.goal:
            continue
        if any(not live.has_ended for live in engine.of_key(tx.conn, key_of(each.id), limit=5)):
            continue
        wanted = parsed(each.intent)
        way = [str(stage) for stage in decide.stages(wanted)]
        if way.index(each.stage) >= way.index(each.goal):
            continue
        engine.start(tx, made.advance, ArrowArgs(each.id, way[way.index(each.stage) + 1]), key=key_of(each.id))
        begun += 1
    return begun


def _found(tx: Tx, id: str) -> tables.Migration:
    found = tables.migration(tx.conn, id)
    if found is None:
        raise NotFoundError(f"there is no migration {id!r}")
    return found
