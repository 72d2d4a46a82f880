"""Prometheus metrics of HTTP requests: their number by route and status, and their duration."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from monitoring.instruments.metrics import ApiMetrics

#: Values of the label ``route``. All other paths count as ``other``: clients can send any path.
ROUTES = {
    *("/", "/healthz", "/readyz", "/v1/attributions", "/v1/attributions/{id}", "/v1/feedback"),
    *("/v1/figures", "/v1/models"),
}
OTHER = "other"
#: Statuses, by route, whose counters start at 0 because alerts use them. If Prometheus first saw a
#: counter at 8, ``increase()`` would miss these 8 requests.
EXPECTED = {"/v1/attributions": (200, 202, 500, 503, 504), "/v1/feedback": (202, 409)}


class RequestMetrics:
    """Counts the requests of one process. Any thread may call the methods."""

    def __init__(self, metrics: ApiMetrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()
        for route, statuses in EXPECTED.items():
            metrics.request_duration.labels(route)
            for status in statuses:
                metrics.requests.labels(route, status)

    def count(self, route: str, status: int | str, seconds: Sequence[float]) -> None:
        """Counts requests of one route and status; ``seconds`` has the duration of each request."""
        with self._lock:
            self._metrics.requests.labels(route, status).inc(len(seconds))
            self._metrics.request_duration.labels(route).observe_many(seconds)


def route_of(rule: str | None) -> str:
    """Returns the metrics' label ``route`` for a Flask URL rule; ``other`` for an unknown rule."""
    route = (rule or "").replace("<", "{").replace(">", "}")
    return route if route in ROUTES else OTHER
