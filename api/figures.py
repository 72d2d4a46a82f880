"""The service behind ``/v1/figures``: returns alerts and this machine's latest measurements."""

from __future__ import annotations

import msgspec
from redis import RedisError
from redis.asyncio import Redis

from api.console import RUNBOOKS
from api.http_response import HttpResponse, json_response
from api.requests.query import parse_query
from celery_app.settings import Settings
from monitoring.state import timeseries
from monitoring.state.timeseries import POINTS
from tasks.errors import CacheUnavailable, InvalidMessage


class FiguresService:
    """Handles requests for measurements. Its methods run in the event loop's thread."""

    def __init__(self, cache: Redis, settings: Settings) -> None:
        self._cache = cache
        self._machine = settings.here
        self._links = {
            "flower": _local_url(settings.flower_port),
            "prometheus": _local_url(settings.prometheus_port),
            "alertmanager": _local_url(settings.alertmanager_port),
            "grafana": settings.grafana_url,
            "docs": settings.docs_url or ("" if RUNBOOKS.is_dir() else None),
        }

    async def read(self, raw_query: bytes) -> HttpResponse:
        """Returns the latest measurements (oldest first), the firing alerts, and links to tools.

        Raises:
            InvalidMessage: the query's ``points``, the number of measurements, is not valid.
            CacheUnavailable: the cache, which holds the figures, can't be reached.
        """
        query = parse_query(raw_query, ("points",))
        count = _point_count(query.get("points", str(POINTS)))
        try:
            points, alerts = await timeseries.read(self._cache, self._machine, count)
        except RedisError:
            raise CacheUnavailable("the cache, which holds the figures, can't be reached") from None
        figures = {
            "points": list(map(msgspec.Raw, points)),
            "alerts": None if alerts is None else msgspec.Raw(alerts),
            "links": self._links,
        }
        return json_response(figures)


def _local_url(port: int) -> str | None:
    """Returns the URL of a program on this machine; ``None`` if the program is off (port 0)."""
    return f"http://127.0.0.1:{port}" if port else None


def _point_count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= POINTS):
        raise InvalidMessage(f"points must be a number from 1 to {POINTS}")
    return int(text)
