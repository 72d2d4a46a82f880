"""``/v1/figures``: what the monitor of this machine has seen in the last minutes, and alerts."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from redis import RedisError
from redis.asyncio import Redis

from api.answers import Answer, answer
from celery_app.settings import Settings
from monitoring import alerts, points
from monitoring.points import POINTS
from tasks.errors import InvalidMessage, Unavailable


class Figures:
    """The resource."""

    def __init__(self, cache: Redis, settings: Settings) -> None:
        self._cache = cache
        self._points = points.key(settings.here)
        self._alerts = alerts.key(settings.here)
        self._links = {
            "flower": _local(settings.flower_port),
            "prometheus": _local(settings.prometheus_port),
            "alertmanager": _local(settings.alertmanager_port),
            "grafana": settings.grafana_url,
        }

    async def read(self, query: Mapping[str, str]) -> Answer:
        """Return the last points, the oldest first.

        Raises:
            InvalidMessage: ``points`` is no number of them.
            Unavailable: Redis, which keeps them, can't be reached.
        """
        wanted = _number(query.get("points", str(POINTS)))
        try:
            async with self._cache.pipeline(transaction=False) as pipe:
                pipe.lrange(self._points, 0, wanted - 1)
                pipe.get(self._alerts)
                kept, told = await pipe.execute()
        except RedisError:
            raise Unavailable("the cache, where the figures are, can't be reached") from None
        read = [msgspec.Raw(point) for point in reversed(kept)]
        said = None if told is None else msgspec.Raw(told)
        return answer({"points": read, "alerts": said, "links": self._links})


def _local(port: int) -> str | None:
    """Return where a part is that listens on this machine; None: it does not run."""
    return f"http://127.0.0.1:{port}" if port else None


def _number(given: str) -> int:
    if not (given.isascii() and given.isdigit() and len(given) < 4 and 1 <= int(given) <= POINTS):
        raise InvalidMessage(f"points must be a number from 1 to {POINTS}")
    return int(given)
