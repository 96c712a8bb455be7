"""How often somebody may try: a small window for each key, bounded in memory."""

from __future__ import annotations

from havre.kernel.clock import Clock

WINDOW_S = 60.0
TRIES = 10
KEYS = 10_000


class Attempts:
    """At most `TRIES` in `WINDOW_S` for each key."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tries: dict[str, list[float]] = {}

    def allow(self, key: str) -> bool:
        now = self._clock.monotonic()
        recent = [at for at in self._tries.get(key, []) if now - at < WINDOW_S]
        if len(self._tries) >= KEYS and key not in self._tries:
            self._tries = {each: tries for each, tries in self._tries.items() if now - tries[-1] < WINDOW_S}
            if len(self._tries) >= KEYS:
                return False
        self._tries[key] = [*recent, now]
        return len(recent) < TRIES
