"""Limits each API key to its rate, which Redis counts for all processes."""

from __future__ import annotations

import logging
import math
from pathlib import Path

from redis import RedisError
from redis.asyncio import Redis

from api.access.keys import ApiKey
from tasks.errors import RateLimited

logger = logging.getLogger(__name__)

LIMIT = "byline:limit:"
#: Counts and decides in one step; see the file.
SCRIPT = Path(__file__).with_name("rate_limit.lua").read_text()


class RateLimiter:
    """Counts what each key asks for, in Redis, for all processes."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def let_through(self, key: ApiKey | None, amount: int) -> None:
        """Count ``amount`` messages, which a request is worth.

        More than a second's worth at once are let through when the key has been idle for as long.

        Raises:
            RateLimited: those who ask with this key have asked for too much.
        """
        if key is None or key.rate is None:
            return
        rate = int(key.rate * 1000)
        try:
            wait_us = int(await self._client.eval(SCRIPT, 1, LIMIT + key.name, rate, amount))
        except RedisError as error:  # what is asked will fail or be answered for its own reasons
            logger.warning("the rate of %s can't be counted: %s", key.name, error)
            return
        if wait_us > 0:
            words = f"this key may be used for {key.rate} messages a second"
            raise RateLimited(words, math.ceil(wait_us / 1_000_000))
