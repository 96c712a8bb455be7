"""Durable operations: ordered steps somebody waits for, resumed or undone after any crash."""

from havre.kernel.operations.engine import Fenced, Operations
from havre.kernel.operations.model import ENDED, Operation, OperationView, Run, Status, Step, StepView
from havre.kernel.operations.tables import SCHEMA

__all__ = [
    "ENDED",
    "SCHEMA",
    "Fenced",
    "Operation",
    "OperationView",
    "Operations",
    "Run",
    "Status",
    "Step",
    "StepView",
]
