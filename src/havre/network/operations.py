"""The durable operations of a migration: one arrow forward, one arrow back.

An arrow is an operation of its own, so that what fails is taken back to the stage before it and no further; the
migration's row says which stage is reached. The arrows of one migration have one key: one at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from havre.base.errors import ConflictError
from havre.kernel.operations import Operation, Run, Step
from havre.kernel.store import Tx
from havre.network import decide, tables

if TYPE_CHECKING:
    from havre.network.work import Work


@dataclass(frozen=True)
class ArrowArgs:
    """stage: forward, the one to reach; back, the one to leave."""

    migration_id: str
    stage: str


@dataclass(frozen=True)
class Operations:
    advance: Operation[ArrowArgs]
    retreat: Operation[ArrowArgs]


def operations(work: Callable[[], Work]) -> Operations:
    """work: made when the first arrow flies; a control plane without a migration does without all that it needs."""
    return Operations(_advance(work), _retreat(work))


def key_of(migration_id: str) -> str:
    return f"network.migration:{migration_id}"


def _advance(work: Callable[[], Work]) -> Operation[ArrowArgs]:
    async def preflight(run: Run[ArrowArgs]) -> None:
        await work().preflight(run.args.migration_id, run.args.stage)

    async def join(run: Run[ArrowArgs]) -> None:
        await work().join(run.args.migration_id, run.args.stage)

    async def probe(run: Run[ArrowArgs]) -> None:
        await work().probe(run.args.migration_id, run.args.stage)

    async def switch(run: Run[ArrowArgs]) -> str:
        return await work().switch(run.args.migration_id, run.args.stage)

    async def undo(run: Run[ArrowArgs]) -> None:
        await work().undo_switch(run.args.migration_id, run.args.stage)

    def on_done(tx: Tx, run: Run[ArrowArgs]) -> None:
        id, stage = run.args.migration_id, run.args.stage
        tables.change(tx, id, stage=stage, note="", is_silent=False)
        tables.add_evidence(tx, id, stage=stage, kind="reached", words=f"{stage} is reached", facts={})
        tx.emit("network.migration.advanced", subject=id, stage=stage)

    def on_undone(tx: Tx, run: Run[ArrowArgs], error: str, cancelled: bool) -> None:
        id, stage = run.args.migration_id, run.args.stage
        why = f"{stage} was cancelled" if cancelled else error
        tables.change(tx, id, note="" if cancelled else why, is_paused=True)
        tables.add_evidence(tx, id, stage=stage, kind="taken_back", words=why, facts={})
        tx.emit("network.migration.taken_back", subject=id, stage=stage, why=why)

    steps = (
        Step("preflight", preflight),
        Step("join", join, undo=undo),
        Step("probe", probe),
        Step("switch", switch, undo=undo),
    )
    return Operation("network.advance", ArrowArgs, steps, on_done=on_done, on_undone=on_undone)


def _retreat(work: Callable[[], Work]) -> Operation[ArrowArgs]:
    async def leave(run: Run[ArrowArgs]) -> str:
        return await work().retreat(run.args.migration_id, run.args.stage)

    async def settle(run: Run[ArrowArgs]) -> str:
        _, intent = await work().read(run.args.migration_id)
        before = decide.preceding(intent, decide.stage_named(intent, run.args.stage))
        if before is None:
            raise ConflictError("there is no stage before the first")
        return str(before)

    settled: Step[ArrowArgs, str] = Step("settle", settle)

    def on_done(tx: Tx, run: Run[ArrowArgs]) -> None:
        id, stage = run.args.migration_id, run.result(settled)
        tables.change(tx, id, stage=stage, is_paused=True, note=f"taken back from {run.args.stage}")
        tables.add_evidence(tx, id, stage=stage, kind="reached", words=f"back at {stage}", facts={})
        tx.emit("network.migration.retreated", subject=id, stage=stage)

    steps = (settled, Step("leave", leave, final=True))
    return Operation("network.retreat", ArrowArgs, steps, on_done=on_done)
