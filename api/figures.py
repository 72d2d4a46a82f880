"""``/v1/figures``: what the monitor of this machine has seen in the last minutes, and alerts."""

from __future__ import annotations

import msgspec
from redis import RedisError
from redis.asyncio import Redis

from api.http_response import HttpResponse, json_response
from api.requests.query import parse_query
from celery_app.settings import Settings
from monitoring.state import timeseries
from monitoring.state.timeseries import POINTS
from tasks.errors import CacheUnavailable, InvalidMessage


class Figures:
    """Answers requests for figures, in the event loop's thread."""

    def __init__(self, cache: Redis, settings: Settings) -> None:
        self._cache = cache
        self._machine = settings.here
        self._links = {
            "flower": _local(settings.flower_port),
            "prometheus": _local(settings.prometheus_port),
            "alertmanager": _local(settings.alertmanager_port),
            "grafana": settings.grafana_url,
        }

    async def read(self, raw_query: bytes) -> HttpResponse:
        """Return the last points, the oldest first.

        Raises:
            InvalidMessage: ``points`` is no number of them.
            CacheUnavailable: the cache, which keeps them, can't be reached.
        """
        query = parse_query(raw_query, ("points",))
        wanted = _number(query.get("points", str(POINTS)))
        try:
            seen, told = await timeseries.read(self._cache, self._machine, wanted)
        except RedisError:
            raise CacheUnavailable("the cache, where the figures are, can't be reached") from None
        return json_response(
            {
                "points": list(map(msgspec.Raw, seen)),
                "alerts": None if told is None else msgspec.Raw(told),
                "links": self._links,
            }
        )


def _local(port: int) -> str | None:
    """Return where a part is that listens on this machine; None: it does not run."""
    return f"http://127.0.0.1:{port}" if port else None


def _number(given: str) -> int:
    if not (given.isascii() and given.isdigit() and len(given) < 4 and 1 <= int(given) <= POINTS):
        raise InvalidMessage(f"points must be a number from 1 to {POINTS}")
    return int(given)
