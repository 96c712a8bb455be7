"""Work a piece at a time, so that who waits for a processor waits for a piece and not for all of it.

The requests of a busy second are some 30 ms of work. Done at once, it stands before every request that comes then; in
pieces of half a millisecond hardly any notices it (docs/decisions/0023).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pace:
    """rest: called in the thread that works, between two pieces."""

    rest: Callable[[], None]

    def pieces(self, items: Sequence[T], *, size: int) -> Iterator[Sequence[T]]:
        """All items in their order, at most `size` together; a rest before the next."""
        for at in range(0, len(items), size):
            if at > 0:
                self.rest()
            yield items[at : at + size]


HURRIED = Pace(lambda: None)
