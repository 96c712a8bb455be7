"""Tells those who wait that an app has new records. In this process only, and without a queue.

Take the bell *before* looking; when there was nothing, wait for it: a commit between the two has rung it.
"""

from __future__ import annotations

from collections.abc import Iterable

import anyio

from havre.kernel.clock import Clock


class Bells:
    def __init__(self) -> None:
        self._events: dict[str, anyio.Event] = {}
        self._readers: dict[str, int] = {}

    def of(self, app_id: str) -> anyio.Event:
        """The bell that rings when the app next has something new."""
        return self._events.setdefault(app_id, anyio.Event())

    def ring(self, app_ids: Iterable[str]) -> None:
        """Call from the event loop, after the commit."""
        for app_id in app_ids:
            if (event := self._events.pop(app_id, None)) is not None:
                event.set()

    def enter(self, app_id: str) -> None:
        """A reader follows the app: its files are looked at more often."""
        self._readers[app_id] = self._readers.get(app_id, 0) + 1

    def leave(self, app_id: str) -> None:
        left = self._readers.pop(app_id, 1) - 1
        if left > 0:
            self._readers[app_id] = left
        else:
            self._events.pop(app_id, None)

    def is_watched(self, app_id: str) -> bool:
        return app_id in self._readers

    @property
    def readers(self) -> int:
        return sum(self._readers.values())


async def wait(event: anyio.Event, *, clock: Clock, seconds: float) -> bool:
    """Wait for `event`, at most `seconds`; whether it came."""

    async def tick() -> None:
        await clock.sleep(max(0.0, seconds))
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        await event.wait()
        group.cancel_scope.cancel()
    return event.is_set()
