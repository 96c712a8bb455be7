"""Carries out durable operations.

Each step is recorded before and after. After a crash the runner goes on at the step that has no result; before
the point of no return a failing or cancelled operation is undone in reverse, the failed step included, and from
that point on it is tried again until it succeeds. Operations of one key run one at a time, in order.
Why this is ours and not a library: docs/decisions/0003-operations.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

import anyio
import sqlalchemy as sa
import structlog
from anyio.abc import TaskGroup

from havre.base.errors import BrokenError, ConflictError, HavreError, NotFoundError, UnavailableError
from havre.base.ids import OperationId, new_operation_id
from havre.kernel.clock import Clock
from havre.kernel.events import Bus
from havre.kernel.operations import tables
from havre.kernel.operations.model import A, Operation, OperationView, R, Run, Step
from havre.kernel.store import Store, Tx

log = structlog.get_logger()

CANCELLED = ""  # the error of an operation that somebody cancelled

Around = Callable[[str, str, str], Awaitable[None]]  # kind, step, phase: begun | ended | undone


class Fenced(Exception):
    """This runner no longer holds the operation."""


class Operations:
    """Starts, runs, cancels and shows operations. One `run()` per process."""

    LEASE_MS = 15_000
    UNDO_TRIES = 5

    def __init__(self, *, store: Store, bus: Bus, clock: Clock, node: str, around: Around | None = None) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._node = node
        self._around = around
        self._kinds: dict[str, Operation[Any]] = {}
        self._scopes: dict[OperationId, anyio.CancelScope] = {}
        self._running: set[OperationId] = set()

    def register(self, operations: Iterable[Operation[Any]]) -> None:
        for operation in operations:
            self._kinds[operation.kind] = operation

    def start(self, tx: Tx, operation: Operation[A], args: A, *, key: str) -> OperationId:
        """Write the operation in the caller's transaction; it begins after the commit."""
        id = new_operation_id()
        packed = operation.args_adapter.dump_python(args, mode="json")
        tables.insert(tx, id=id, kind=operation.kind, key=key, args=packed)
        tx.emit("kernel.operation.started", subject=id, kind=operation.kind, key=key)
        return id

    def cancel(self, tx: Tx, id: OperationId) -> None:
        """Ask for the running step to be interrupted and everything undone.

        Raises NotFoundError, and ConflictError past the point of no return or after the end.
        """
        found = tables.row(tx.conn, id)
        if found is None:
            raise NotFoundError("there is no such operation")
        operation = self._kinds.get(found.kind)
        names = [step.name for step in operation.steps] if operation else []
        if operation and found.step in names and operation.is_final(names.index(found.step)):
            raise ConflictError("it is too late to cancel: the switch has been made")
        if not tables.request_cancel(tx, id):
            raise ConflictError("it is too late to cancel: it has ended")
        tx.emit("kernel.operation.cancel_requested", subject=id)

    def abandon(self, tx: Tx, id: OperationId, *, why: str) -> None:
        """End a live operation as it is, neither carried out nor undone: what it worked on is not there any more.

        Before `run` only. Its hooks are not called.
        """
        tables.abandon(tx, id, error=why)
        tx.emit("kernel.operation.undone", subject=id, error=why)

    def view(self, conn: sa.Connection, id: OperationId) -> OperationView | None:
        found = tables.row(conn, id)
        return tables.view(conn, found) if found else None

    def result(self, conn: sa.Connection, id: OperationId, step: Step[Any, R]) -> R | None:
        """What `step` of an operation returned; None while it has not."""
        for each in tables.steps(conn, id):
            if each.name == step.name and each.status == "done":
                return cast(R, step.result_type.validate_python(each.result))
        return None

    def of_key(self, conn: sa.Connection, key: str, *, limit: int = 50) -> list[OperationView]:
        """The operations of one key, newest first."""
        return tables.of_key(conn, key, limit=limit)

    def steps_of(self, kind: str) -> tuple[str, ...]:
        """The names of a kind's steps in their order; none for a kind that this version does not know."""
        operation = self._kinds.get(kind)
        return tuple(step.name for step in operation.steps) if operation is not None else ()

    def live(self, conn: sa.Connection) -> list[OperationView]:
        return tables.live(conn)

    async def wait(self, id: OperationId) -> OperationView:
        """Return when the operation has ended (done, undone or stuck)."""
        async with self._bus.subscribe("kernel.operation.") as events:
            while True:
                found = await self._store.read(lambda conn: self.view(conn, id))
                if found is None:
                    raise NotFoundError("there is no such operation")
                if found.has_ended or found.status == "stuck":
                    return found
                with anyio.move_on_after(1):
                    await events.receive()

    async def run(self) -> None:
        """Run what is there and what comes, until cancelled. Nothing is undone by the cancellation: it resumes."""
        if self._store.dialect == "sqlite":  # the data directory's lock is ours: nobody else holds anything
            await self._store.write(tables.release_node)
        await self._store.write(tables.revive_stuck)
        async with self._bus.subscribe("kernel.operation.") as events, anyio.create_task_group() as group:
            group.start_soon(self._renew)
            while True:
                await self._start_claimable(group)
                with anyio.move_on_after(5):
                    event = await events.receive()
                    if event.name == "kernel.operation.cancel_requested":
                        self._interrupt(event.subject)

    async def _start_claimable(self, group: TaskGroup) -> None:
        now = self._clock.now()
        for id in await self._store.read(lambda conn: tables.claimable(conn, now=now, node=self._node)):
            if id not in self._running:
                self._running.add(id)
                group.start_soon(self._run_one, id)

    def _interrupt(self, subject: str | None) -> None:
        scope = self._scopes.get(OperationId(subject or ""))
        if scope is not None:
            scope.cancel()

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(self.LEASE_MS / 3000)
            mine = tuple(self._running)
            if mine:
                try:
                    await self._store.write(lambda tx, mine=mine: self._extend(tx, mine))  # type: ignore[misc]
                except UnavailableError as error:  # a full disk ends no operation
                    log.warning("kernel.operation.not_renewed", error=error.message)

    def _extend(self, tx: Tx, ids: tuple[OperationId, ...]) -> None:
        where = (tables.OP.c.id.in_(ids)) & (tables.OP.c.node == self._node)
        tx.conn.execute(sa.update(tables.OP).where(where).values(lease_at=tx.now + self.LEASE_MS))

    async def _run_one(self, id: OperationId) -> None:
        try:
            claimed = await self._store.write(lambda tx: tables.claim(tx, id, node=self._node, lease_ms=self.LEASE_MS))
            if claimed is not None:
                await _Execution(self, claimed).carry_out()
        except Fenced:
            log.warning("kernel.operation.fenced", operation_id=id)
        except Exception as error:
            log.error("kernel.operation.broke", operation_id=id, exc_info=error)
            await self._clock.sleep(1)
        finally:
            self._running.discard(id)
            self._bus.wake("kernel.operation.free")


class _Execution:
    """One operation under one epoch."""

    def __init__(self, engine: Operations, claimed: sa.Row[Any]) -> None:
        self.engine = engine
        self.store = engine._store
        self.epoch: int = claimed.epoch
        self.claimed = claimed
        self.operation = engine._kinds.get(claimed.kind)
        self.id = OperationId(claimed.id)

    async def carry_out(self) -> None:
        if self.operation is None:
            await self._end("stuck", error=f"this version does not know operations of kind {self.claimed.kind}")
            return
        args = self.operation.args_adapter.validate_python(self.claimed.args)
        run: Run[Any] = Run(self.id, self.claimed.kind, args, self.claimed.created_at, report=self._report)
        with structlog.contextvars.bound_contextvars(operation_id=self.id, operation=self.claimed.kind):
            done = await self._load(run)
            if self.claimed.status == "running" and await self._forward(run, done):
                return
            await self._backward(run)

    async def _load(self, run: Run[Any]) -> int:
        """Fill in the results there are; returns how many steps are done."""
        assert self.operation is not None
        done = 0
        for row in await self.store.read(lambda conn: tables.steps(conn, self.id)):
            step = self.operation.steps[row.seq] if row.seq < len(self.operation.steps) else None
            if step is None or step.name != row.name:
                raise BrokenError(f"the steps of {self.operation.kind} changed under a running operation")
            if row.status == "done":
                run.results[step.name] = step.result_type.validate_python(row.result)
                done = row.seq + 1
        return done

    async def _forward(self, run: Run[Any], done: int) -> bool:
        """Do the steps that are left. Returns False when it must be undone."""
        assert self.operation is not None
        for seq, step in enumerate(self.operation.steps):
            if seq < done:
                continue
            is_final = self.operation.is_final(seq)
            while True:
                outcome = await self._do(run, seq, step, may_cancel=not is_final)
                if outcome is None:
                    break
                if not is_final or outcome == CANCELLED:
                    await self._turn_back(outcome)
                    return False
                run.attempt += 1
                await self._write(error=outcome)
                await self.engine._clock.sleep(min(30.0, 0.2 * 2 ** min(run.attempt, 8)))
        await self._end("done", error="", hook=lambda tx: self._hook_done(tx, run))
        return True

    async def _do(self, run: Run[Any], seq: int, step: Step[Any, Any], *, may_cancel: bool) -> str | None:
        """Returns None when the step is done and recorded, else the error's text (`CANCELLED` when it was)."""
        scope = anyio.CancelScope()
        if may_cancel:
            self.engine._scopes[self.id] = scope  # before anybody can ask for it: it takes effect when we come to it
        try:
            if await self.store.write(lambda tx: self._begin(tx, run, seq, step)):
                return CANCELLED
            try:
                with scope:
                    await self._failpoint(step.name, "begun")
                    result = await step.do(run)
                    await self._failpoint(step.name, "ended")
            except Exception as error:  # noqa: BLE001 - becomes the operation's error
                return _text_of(error)
        finally:
            self.engine._scopes.pop(self.id, None)
        if scope.cancelled_caught:
            return CANCELLED
        packed = step.result_type.dump_python(result, mode="json")

        def finish(tx: Tx) -> None:
            self._fence(tx)
            tables.put_step(tx, self.id, seq, name=step.name, status="done", result=packed)
            tx.emit("kernel.operation.step_done", subject=self.id, step=step.name, kind=self.claimed.kind)

        await self.store.write(finish)
        run.results[step.name] = result
        await self._failpoint(step.name, "recorded")
        return None

    def _begin(self, tx: Tx, run: Run[Any], seq: int, step: Step[Any, Any]) -> bool:
        """Write that the step begins; whether it may not, because somebody has cancelled the operation in time."""
        assert self.operation is not None
        row = tables.row(tx.conn, self.id)
        if row is not None and row.cancelled and not self._has_switched(tx):
            self._fence(tx)
            return True
        self._fence(tx, step=step.name)
        tables.put_step(tx, self.id, seq, name=step.name, status="begun")
        if self.operation.on_step is not None:
            self.operation.on_step(tx, run, step.name)
        tx.emit("kernel.operation.step_begun", subject=self.id, step=step.name, kind=self.claimed.kind)
        return False

    def _has_switched(self, tx: Tx) -> bool:
        """Whether a step has begun that lies at or past the point of no return."""
        assert self.operation is not None
        return any(self.operation.is_final(each.seq) for each in tables.steps(tx.conn, self.id))

    async def _turn_back(self, error: str) -> None:
        await self._write(status="undoing", error=error)

    async def _backward(self, run: Run[Any]) -> None:
        """Undo every step that began, newest first."""
        assert self.operation is not None
        for row in reversed(await self.store.read(lambda conn: tables.steps(conn, self.id))):
            step = self.operation.steps[row.seq]
            if row.status == "undone":
                continue
            if step.undo is not None and not await self._undo(run, step):
                return
            await self.store.write(lambda tx, row=row: self._undone(tx, row))  # type: ignore[misc]
            await self._failpoint(step.name, "undone")
        now = await self.store.read(lambda conn: tables.row(conn, self.id))
        error, cancelled = (now.error, now.cancelled) if now else ("", False)
        hook = self.operation.on_undone
        end = (lambda tx: hook(tx, run, error, cancelled)) if hook is not None else None
        await self._end("undone", error=error, hook=end)

    async def _undo(self, run: Run[Any], step: Step[Any, Any]) -> bool:
        assert step.undo is not None
        for attempt in range(self.engine.UNDO_TRIES):
            try:
                await step.undo(run)
                return True
            except Exception as error:
                log.warning("kernel.operation.undo_failed", step=step.name, attempt=attempt, exc_info=error)
                text = _text_of(error)
                await self.engine._clock.sleep(0.2 * 2**attempt)
        await self._write(status="stuck", progress=f"undo of step {step.name} failed: {text}")
        return False

    def _undone(self, tx: Tx, row: sa.Row[Any]) -> None:
        self._fence(tx)
        tables.put_step(tx, self.id, row.seq, name=row.name, status="undone")

    def _hook_done(self, tx: Tx, run: Run[Any]) -> None:
        assert self.operation is not None
        if self.operation.on_done is not None:
            self.operation.on_done(tx, run)

    async def _end(self, status: str, *, error: str, hook: Callable[[Tx], None] | None = None) -> None:
        def end(tx: Tx) -> None:
            self._fence(tx, status=status, error=error, ended_at=tx.now if status in ("done", "undone") else None)
            if hook is not None:
                hook(tx)
            tx.emit(
                f"kernel.operation.{status}",
                subject=self.id,
                kind=self.claimed.kind,
                key=self.claimed.key,
                error=error,
            )

        await self.store.write(end)

    async def _write(self, **values: Any) -> None:
        await self.store.write(lambda tx: self._fence(tx, **values))

    async def _report(self, text: str) -> None:
        await self._write(progress=text)
        self.engine._bus.wake("kernel.operation.progressed")

    def _fence(self, tx: Tx, **values: Any) -> None:
        if not tables.set_where_mine(tx, self.id, self.epoch, **values):
            raise Fenced(self.id)

    async def _failpoint(self, step: str, phase: str) -> None:
        if self.engine._around is not None:
            await self.engine._around(self.claimed.kind, step, phase)


def _text_of(error: Exception) -> str:
    """The sentence for people. Of several failures at once (a task group) the first that is one of ours."""
    while isinstance(error, ExceptionGroup):
        ours = error.subgroup(HavreError)
        error = (ours or error).exceptions[0]
    if isinstance(error, HavreError) and not isinstance(error, BrokenError):
        return error.message or type(error).__name__
    log.error("kernel.operation.step_broke", exc_info=error)
    return error.message if isinstance(error, HavreError) else f"internal error ({type(error).__name__}); it was logged"
