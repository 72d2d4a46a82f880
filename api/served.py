"""What was served, noted at once and counted a little later.

To count one request takes the library 4 us, and twice that in the middle of other work: a tenth of
what a message costs here. Many together take a twentieth of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from monitoring.metrics import ApiMetrics


class Served:
    """The requests of one process."""

    def __init__(self, metrics: ApiMetrics, expected: Mapping[str, Iterable[int]]) -> None:
        """``expected``: statuses by route that are told from the start, as 0.

        What Prometheus first sees as eight has not increased for it.
        """
        self._metrics = metrics
        for route, statuses in expected.items():
            metrics.request_duration.labels(route)
            for status in statuses:
                metrics.requests.labels(route, status)
        #: Seconds, by route and status.
        self._noted: defaultdict[tuple[str, int | str], list[float]] = defaultdict(list)

    def note(self, route: str, status: int | str, seconds: float) -> None:
        """Take a request down."""
        self._noted[route, status].append(seconds)

    def count(self) -> None:
        """Count what was taken down since the last time."""
        noted, self._noted = self._noted, defaultdict(list)
        for (route, status), seconds in noted.items():
            self._metrics.requests.labels(route, status).inc(len(seconds))
            self._metrics.request_duration.labels(route).observe_many(seconds)
