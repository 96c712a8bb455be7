"""What an instance runs, as data: the app, what runs beside it, what runs at certain minutes, and the hooks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from havre.apps.launch.cron import Job


class Restart(StrEnum):
    """What follows the end of a process beside the app (CC_WORKER_RESTART)."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Process:
    """A program that runs beside the app as long as the app does. `line` is for the shell.

    service: the name under which its output is kept; empty: with the app's.
    """

    name: str
    line: str
    restart: Restart = Restart.ON_FAILURE
    delay_s: float = 1.0
    service: str = ""


@dataclass(frozen=True, slots=True)
class Launch:
    """All that an instance runs. With `main` and `before` alone it needs no launcher.

    main: the line that becomes the app; its end is the instance's. before: the pre-run hook, whose failure is the
    instance's. succeeded, failed: hooks of a start whose own end changes nothing. ends: a task, whose exit status
    says which of the two runs.
    """

    main: str
    before: str = ""
    beside: tuple[Process, ...] = ()
    cron: tuple[Job, ...] = ()
    succeeded: str = ""
    failed: str = ""
    ends: bool = False

    @property
    def is_plain(self) -> bool:
        return not (self.beside or self.cron or self.succeeded or self.failed)

    @property
    def hears(self) -> bool:
        """Whether it waits to be told how the start ended."""
        return bool(self.succeeded or self.failed) and not self.ends
