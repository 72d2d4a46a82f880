"""Gathers the requests that the accelerator answered, and adds them to the metrics in groups."""

from __future__ import annotations

from collections import defaultdict

from api.request_metrics import RequestMetrics


class RequestCounts:
    """Gathers finished requests, and counts many of them at once.

    Only the event loop's thread may use this object.
    """

    def __init__(self) -> None:
        #: Durations in seconds, by route and status.
        self._durations: defaultdict[tuple[str, int | str], list[float]] = defaultdict(list)

    def add(self, route: str, status: int | str, seconds: float) -> None:
        """Gathers one request, which took ``seconds`` seconds. :meth:`count` counts it later."""
        self._durations[route, status].append(seconds)

    def count(self, metrics: RequestMetrics) -> None:
        """Adds the gathered requests to the metrics, and empties this object."""
        # prometheus-client takes 8 us to count a single request, a tenth of the CPU time that a
        # message costs the api process. In a group, a request takes 0.4 us.
        durations, self._durations = self._durations, defaultdict(list)
        for (route, status), seconds in durations.items():
            metrics.count(route, status, seconds)
