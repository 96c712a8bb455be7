"""The room's figures on `/metrics`, and its health: how far behind the files the store is."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from havre.kernel.clock import Clock
from havre.kernel.rooms import Health
from havre.observe.access import AccessIngest
from havre.observe.ingest import Ingest
from havre.observe.model import StoreFigures

LATE_S = 30.0


class Figures:
    """Collects from the loops; the store's size is measured by the retention pass."""

    def __init__(self, ingest: Ingest, access: AccessIngest, *, clock: Clock) -> None:
        self._ingest = ingest
        self._access = access
        self._clock = clock
        self.store = StoreFigures(0, 0, 0)

    @property
    def backlog_bytes(self) -> int:
        return sum(tail.backlog for tail in self._ingest.tails.values())

    @property
    def lag_s(self) -> float:
        """For how long the source that is behind the longest has been behind."""
        since = [tail.behind_s for tail in self._ingest.tails.values() if tail.behind_s is not None]
        return max(0.0, self._clock.monotonic() - min(since)) if since else 0.0

    def health(self) -> Health:
        lag_s, backlog = self.lag_s, self.backlog_bytes
        figures = {
            "backlog_bytes": float(backlog),
            "lag_s": round(lag_s, 1),
            "sources": float(len(self._ingest.tails)),
            "store_bytes": float(self.store.file_bytes),
            "dropped_lines": float(self._ingest.counts.dropped),
        }
        error = f"logs are {lag_s:.0f} s behind, {backlog} bytes wait" if lag_s > LATE_S else ""
        return Health(error=self._ingest.counts.error or error, backlog=backlog, figures=figures)

    def collect(self) -> Iterable[Metric]:
        counts = self._ingest.counts
        for name, text, value in (
            ("havre_observe_lines", "Lines kept.", counts.lines),
            ("havre_observe_bytes", "Bytes of lines read.", counts.octets),
            ("havre_observe_dropped_lines", "Lines dropped because they came too fast.", counts.dropped),
            ("havre_observe_access_lines", "Requests kept.", self._access.lines),
            ("havre_observe_request_seconds", "What they took together.", self._access.seconds),
        ):
            counter = CounterMetricFamily(name, text)
            counter.add_metric([], value)
            yield counter
        requests = CounterMetricFamily(
            "havre_observe_requests", "Requests kept, by the class of status.", labels=["class"]
        )
        for name, count in sorted(self._access.classes.items()):
            requests.add_metric([name], count)
        yield requests
        readers = self._ingest.bells.readers + self._access.bells.readers
        gauges: tuple[tuple[str, str, float], ...] = (
            ("havre_observe_backlog_bytes", "Bytes that wait in raw files.", self.backlog_bytes),
            ("havre_observe_lag_seconds", "How long the latest source is behind.", self.lag_s),
            ("havre_observe_sources", "Sources known.", len(self._ingest.tails)),
            ("havre_observe_store_bytes", "Size of the signals store.", self.store.file_bytes),
            ("havre_observe_store_free_bytes", "Of it, free for new lines.", self.store.free_bytes),
            ("havre_observe_readers", "Readers of logs right now.", readers),
        )
        for name, text, level in gauges:
            yield GaugeMetricFamily(name, text, value=level)
