"""``/v1/figures``: what the monitor of this machine has seen in the last minutes, and alerts."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from redis import RedisError
from redis.asyncio import Redis

from api.answers import Answer, answer
from api.query import parse_query
from celery_app.settings import Settings
from monitoring import alerts, points
from monitoring.points import POINTS
from tasks.errors import CacheUnavailable, InvalidMessage
from tasks.log_once import log_once
from tasks.wrong_type import without_wrong_types

logger = logging.getLogger(__name__)

_decode = msgspec.json.Decoder(dict[str, Any]).decode


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

    async def read(self, raw_query: bytes) -> Answer:
        """Return the last points, the oldest first.

        Raises:
            InvalidMessage: ``points`` is no number of them.
            CacheUnavailable: the cache, which keeps them, can't be reached.
        """
        query = parse_query(raw_query, ("points",))
        wanted = _number(query.get("points", str(POINTS)))
        try:
            async with self._cache.pipeline(transaction=False) as pipe:
                pipe.lrange(self._points, 0, wanted - 1)
                pipe.get(self._alerts)
                answers = await pipe.execute(raise_on_error=False)
            kept, told = without_wrong_types(answers)
        except RedisError:
            raise CacheUnavailable("the cache, where the figures are, can't be reached") from None
        seen = [point for point in reversed(kept or []) if _is_readable(point, "at")]
        return answer(
            {
                "points": list(map(msgspec.Raw, seen)),
                "alerts": msgspec.Raw(told) if _is_readable(told, "firing") else None,
                "links": self._links,
            }
        )


def _is_readable(raw: bytes | None, name: str) -> bool:
    """Return whether this is a JSON object that has something of this name."""
    try:
        return raw is not None and name in _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        line = "a figure of the monitor can't be read, and is left out: %s"
        log_once(logger, logging.WARNING, line, type(error).__name__)
        return False


def _local(port: int) -> str | None:
    """Return where a part is that listens on this machine; None: it does not run."""
    return f"http://127.0.0.1:{port}" if port else None


def _number(given: str) -> int:
    if not (given.isascii() and given.isdigit() and len(given) < 4 and 1 <= int(given) <= POINTS):
        raise InvalidMessage(f"points must be a number from 1 to {POINTS}")
    return int(given)
