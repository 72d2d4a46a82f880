"""Requests that the accelerator answered: noted at once and counted a little later.

To count one request takes prometheus-client 4 us, and twice that in the middle of other work: a
tenth of what a message costs here. Many together take a twentieth of it.
"""

from __future__ import annotations

from collections import defaultdict

from api.request_metrics import RequestMetrics


class RequestCounts:
    """Gathers requests, and counts them together. For the loop's thread."""

    def __init__(self) -> None:
        #: Seconds, by route and status.
        self._noted: defaultdict[tuple[str, int | str], list[float]] = defaultdict(list)

    def note(self, route: str, status: int | str, seconds: float) -> None:
        """Take a request down."""
        self._noted[route, status].append(seconds)

    def count(self, metrics: RequestMetrics) -> None:
        """Count what was taken down since the last time."""
        noted, self._noted = self._noted, defaultdict(list)
        for (route, status), seconds in noted.items():
            metrics.count(route, status, seconds)
