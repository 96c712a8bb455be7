"""How often somebody may try, and which signed requests were seen: small windows, bounded in memory."""

from __future__ import annotations

from collections import OrderedDict

from havre.base.errors import ExhaustedError
from havre.governance import signatures
from havre.kernel.clock import Clock

KEYS = 10_000
NONCES = 200_000


class Attempts:
    """At most `tries` in `window_s` for each key."""

    def __init__(self, clock: Clock, *, tries: int, window_s: float = 60.0) -> None:
        self._clock = clock
        self._limit = tries
        self._window_s = window_s
        self._tries: dict[str, list[float]] = {}

    def allow(self, key: str) -> bool:
        now = self._clock.monotonic()
        recent = [at for at in self._tries.get(key, []) if now - at < self._window_s]
        if len(recent) >= self._limit:
            self._tries[key] = recent
            return False
        if len(self._tries) >= KEYS and key not in self._tries:
            self._tries = {each: tries for each, tries in self._tries.items() if now - tries[-1] < self._window_s}
            if len(self._tries) >= KEYS:
                return False
        self._tries[key] = [*recent, now]
        return True

    def take(self, *keys: str, what: str) -> None:
        """Count a try for each key. Raises ExhaustedError (429) when one has had too many."""
        for each in keys:
            if not self.allow(each):
                wait = int(self._window_s)
                raise ExhaustedError(f"too many {what}; wait {wait} seconds", retry_after_s=wait)


class Nonces:
    """The signed requests of the last minutes: each is served once (RFC 5849 section 3.3). Of this process only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: OrderedDict[tuple[str, str, int], float] = OrderedDict()

    def is_new(self, token: str, nonce: str, timestamp: int) -> bool:
        if not nonce:
            return False
        now, key = self._clock.monotonic(), (token, nonce[:200], timestamp)
        while self._seen and (len(self._seen) >= NONCES or now - next(iter(self._seen.values())) > self.kept_s):
            self._seen.popitem(last=False)
        if key in self._seen:
            return False
        self._seen[key] = now
        return True

    kept_s = 2.0 * signatures.WINDOW_S + 1


class Limits:
    """The limits of one control plane."""

    def __init__(self, clock: Clock) -> None:
        self.sign_ins = Attempts(clock, tries=10)  # for each e-mail address
        self.sources = Attempts(clock, tries=60)  # for each address that signs in
        self.pushes = Attempts(clock, tries=60)  # for each app
        self.letters = Attempts(clock, tries=10, window_s=3600.0)  # for each person that has letters sent
        self.nonces = Nonces(clock)
