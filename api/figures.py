"""``/v1/figures``: what the monitor of this machine has seen in the last minutes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from redis import RedisError
from redis.asyncio import Redis

from api.answers import Answer, answer
from celery_app.settings import Settings
from monitoring.points import POINTS, key
from tasks.errors import InvalidMessage, Unavailable


class Figures:
    """The resource."""

    def __init__(self, cache: Redis, settings: Settings) -> None:
        self._cache = cache
        self._key = key(settings.here)
        prometheus = settings.prometheus_port
        self._links = {
            "flower": f"http://127.0.0.1:{settings.flower_port}",
            "prometheus": f"http://127.0.0.1:{prometheus}" if prometheus else None,
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
            points: Any = await self._cache.lrange(self._key, 0, wanted - 1)
        except RedisError:
            raise Unavailable("the cache, where the figures are, can't be reached") from None
        read = [msgspec.Raw(point) for point in reversed(points)]
        return answer({"points": read, "links": self._links})


def _number(given: str) -> int:
    if not (given.isascii() and given.isdigit() and len(given) < 4 and 1 <= int(given) <= POINTS):
        raise InvalidMessage(f"points must be a number from 1 to {POINTS}")
    return int(given)
