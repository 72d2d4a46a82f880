"""Counts requests by route and status, and how long they took."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from monitoring.instruments.metrics import ApiMetrics

#: Routes that requests are counted under. All others are ``other``: a path is anybody's to choose.
ROUTES = frozenset(
    (
        *("/", "/healthz", "/readyz", "/v1/attributions", "/v1/attributions/{id}", "/v1/feedback"),
        *("/v1/figures", "/v1/models"),
    )
)
OTHER = "other"
#: Statuses by route that alerts look at, which are told from the start, as 0: what Prometheus first
#: sees as eight has not increased for it.
EXPECTED = {"/v1/attributions": (200, 202, 500, 503, 504), "/v1/feedback": (202, 409)}


class RequestMetrics:
    """The requests of one process. May be used by many threads."""

    def __init__(self, metrics: ApiMetrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()
        for route, statuses in EXPECTED.items():
            metrics.request_duration.labels(route)
            for status in statuses:
                metrics.requests.labels(route, status)

    def count(self, route: str, status: int | str, seconds: Sequence[float]) -> None:
        """Count requests that had one route and one status, and took so many seconds each."""
        with self._lock:
            self._metrics.requests.labels(route, status).inc(len(seconds))
            self._metrics.request_duration.labels(route).observe_many(seconds)


def route_of(rule: str | None) -> str:
    """Return under which route a request is counted that Flask has found this URL rule for."""
    route = (rule or "").replace("<", "{").replace(">", "}")
    return route if route in ROUTES else OTHER
