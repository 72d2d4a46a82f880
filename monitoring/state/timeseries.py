"""Reads the points of the console's charts, which the monitor keeps in Redis."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from redis.asyncio import Redis

from monitoring.instruments.log_once import log_once
from monitoring.state import alerts
from tasks.storage.wrong_type import without_wrong_types

logger = logging.getLogger(__name__)

#: Maximum number of points that are kept for a machine: the points of ten minutes.
POINTS = 300
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def key(machine: str) -> str:
    """Returns the Redis key of a machine's chart points: a list, the newest point first."""
    return f"byline:figures:{machine}"


async def read(cache: Redis, machine: str, count: int) -> tuple[list[bytes], bytes | None]:
    """Returns a machine's ``count`` newest chart points and its firing alerts, as JSON.

    The oldest of these points comes first. Unreadable points are left out. If the alerts are
    unreadable or missing, None stands for them. Raises ``RedisError``.
    """
    async with cache.pipeline(transaction=False) as pipe:
        pipe.lrange(key(machine), 0, count - 1)
        pipe.get(alerts.key(machine))
        replies = await pipe.execute(raise_on_error=False)
    points, firing = without_wrong_types(replies)
    readable = [point for point in reversed(points or []) if _is_readable(point, "at")]
    return readable, firing if _is_readable(firing, "firing") else None


def _is_readable(raw: bytes | None, field: str) -> bool:
    """Returns whether ``raw`` is a JSON object that has ``field``."""
    try:
        return raw is not None and field in _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        line = "a figure of the monitor can't be read, and is left out: %s"
        log_once(logger, logging.WARNING, line, type(error).__name__)
        return False
