"""The nouns of durable operations: Step, Operation, Run, and what a reader sees of one."""

from __future__ import annotations

import typing
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import TypeAdapter

from havre.base.errors import BrokenError
from havre.base.ids import OperationId

if TYPE_CHECKING:
    from havre.kernel.store import Tx

A = TypeVar("A")
R = TypeVar("R")

Status = Literal["running", "undoing", "done", "undone", "stuck"]
ENDED: tuple[Status, ...] = ("done", "undone")


@dataclass(frozen=True, eq=False)
class Step(Generic[A, R]):
    """One effect on the world.

    `do` may run again after a crash, so it finds what it made before; its result (None, or anything pydantic
    can write as JSON, taken from the annotation) is kept. `undo` accepts "never happened" and "half happened": it is
    called for the failed step too. From the first `final` step on there is only forward.
    """

    name: str
    do: Callable[[Run[A]], Awaitable[R]]
    undo: Callable[[Run[A]], Awaitable[None]] | None = None
    final: bool = False

    @cached_property
    def result_type(self) -> TypeAdapter[Any]:
        hints = typing.get_type_hints(self.do)
        return TypeAdapter(hints.get("return", type(None)))


@dataclass(frozen=True, eq=False)
class Operation(Generic[A]):
    """A fixed list of steps somebody waits for. `on_done` and `on_undone` write in the transaction that ends it."""

    kind: str
    args_type: type[A]
    steps: tuple[Step[A, Any], ...]
    on_step: Callable[[Tx, Run[A], str], None] | None = None
    on_done: Callable[[Tx, Run[A]], None] | None = None
    on_undone: Callable[[Tx, Run[A], str, bool], None] | None = None  # error text, was it cancelled

    @cached_property
    def args_adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.args_type)

    def is_final(self, index: int) -> bool:
        """Whether the step at `index` lies at or past the point of no return."""
        return any(step.final for step in self.steps[: index + 1])


@dataclass
class Run(Generic[A]):
    """One execution, as its steps see it."""

    id: OperationId
    kind: str
    args: A
    created_at: int
    results: dict[str, Any] = field(default_factory=dict)
    report: Callable[[str], Awaitable[None]] | None = None
    attempt: int = 1

    def result(self, step: Step[A, R]) -> R:
        """What an earlier step returned. Raises BrokenError when it has not run: the order is wrong."""
        if step.name not in self.results:
            raise BrokenError(f"step {step.name!r} of {self.kind} has no result yet")
        return typing.cast(R, self.results[step.name])

    def has(self, step: Step[A, Any]) -> bool:
        return step.name in self.results

    async def progress(self, text: str) -> None:
        """One line for whoever watches; not part of the log."""
        if self.report is not None:
            await self.report(text)


@dataclass(frozen=True, slots=True)
class StepView:
    name: str
    status: Literal["begun", "done", "undone"]
    began_at: int
    ended_at: int | None


@dataclass(frozen=True, slots=True)
class OperationView:
    """An operation as it is read while it runs and after."""

    id: OperationId
    kind: str
    key: str
    status: Status
    step: str
    progress: str
    error: str
    cancelled: bool
    created_at: int
    ended_at: int | None
    steps: tuple[StepView, ...] = ()

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED
