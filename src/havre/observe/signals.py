"""The seam of the signals store: what keeps lines and requests, and answers for them.

Every method blocks and is called from a worker thread; one writer at a time. Rows and the cursors that say
what they were read from are kept in one transaction, so that each line is there exactly once. Sequence numbers
only grow, are never given twice, and become visible in their order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from havre.observe.model import (
    AccessQuery,
    AccessRecord,
    Cursor,
    FileCursor,
    LogQuery,
    LogRecord,
    OfApp,
    StoreFigures,
    Taken,
)
from havre.observe.pace import HURRIED, Pace

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Records after some sequence number. `next`: where to go on; `has_more`: there is more right now."""

    records: tuple[R, ...]
    next: int
    has_more: bool


class SignalStore(Protocol):
    """Raises UnavailableError when the store does not answer or does not take writes."""

    def cursors(self) -> Mapping[str, Cursor]:
        """How far each source is read, by its id."""
        ...

    def keep(self, batch: Sequence[Taken]) -> None:
        """Keep lines and cursors; what an app has past its quota goes, oldest first."""
        ...

    def forget_sources(self, ids: Sequence[str]) -> None:
        """Forget the cursors of sources that are gone. Their lines stay until they are old."""
        ...

    def logs(self, query: LogQuery, *, after: int, page: int) -> Page[LogRecord]:
        """The next lines after sequence number `after`, at most `page`."""
        ...

    def log_head(self) -> int:
        """The newest sequence number of a line, 0 when there never was one."""
        ...

    def access_cursors(self) -> Sequence[FileCursor]: ...

    def keep_access(self, given: Sequence[OfApp], *, cursors: Sequence[FileCursor], pace: Pace = HURRIED) -> None:
        """Keep requests, at that pace; `cursors` replaces all that is known of the access log's files."""
        ...

    def accesses(self, query: AccessQuery, *, after: int, page: int) -> Page[AccessRecord]: ...

    def access_counts(
        self, app_id: str, *, since: int, span_ms: int, after: int = 0, upto: int | None = None
    ) -> Mapping[int, Mapping[int, int]]:
        """How many requests since `since`, by the beginning of the span (a multiple of `span_ms`) and by status; of
        those after sequence number `after`, up to and with `upto`."""
        ...

    def access_head(self) -> int: ...

    def drop_app(self, app_id: str) -> bool:
        """Delete some of what the app has; True when nothing is left."""
        ...

    def expire(self, before: int) -> int:
        """Delete some of what is older than `before`; returns how many rows, 0 when none is left."""
        ...

    def compact(self) -> bool:
        """Give some free space back to the disk; True when there is more to give."""
        ...

    def settle(self) -> None:
        """Return when everything kept so far survives a loss of power."""
        ...

    def figures(self) -> StoreFigures: ...

    def close(self) -> None: ...
