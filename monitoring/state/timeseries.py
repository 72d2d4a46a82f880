"""Where the console's figures are kept, and how they are read."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from redis.asyncio import Redis

from monitoring.instruments.log_once import log_once
from monitoring.state import alerts
from tasks.storage.wrong_type import without_wrong_types

logger = logging.getLogger(__name__)

#: Points kept: ten minutes of them.
POINTS = 300
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def key(machine: str) -> str:
    """Return under which key the points of a machine are kept: a list, the newest first."""
    return f"byline:figures:{machine}"


async def read(cache: Redis, machine: str, count: int) -> tuple[list[bytes], bytes | None]:
    """Return the last points of a machine, the oldest first, and its alerts, both as JSON.

    What can't be read is left out, and None stands for alerts that are not there. Raises
    ``RedisError``.
    """
    async with cache.pipeline(transaction=False) as pipe:
        pipe.lrange(key(machine), 0, count - 1)
        pipe.get(alerts.key(machine))
        answers = await pipe.execute(raise_on_error=False)
    kept, told = without_wrong_types(answers)
    seen = [point for point in reversed(kept or []) if _is_readable(point, "at")]
    return seen, told if _is_readable(told, "firing") else None


def _is_readable(raw: bytes | None, name: str) -> bool:
    """Return whether this is a JSON object that has something of this name."""
    try:
        return raw is not None and name in _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        line = "a figure of the monitor can't be read, and is left out: %s"
        log_once(logger, logging.WARNING, line, type(error).__name__)
        return False
