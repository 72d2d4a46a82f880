"""Limits each API key to its rate, across all processes, with a Lua script in Redis."""

from __future__ import annotations

import logging
import math
from pathlib import Path

from redis import RedisError
from redis.asyncio import Redis

from api.access.keys import ApiKey
from tasks.errors import RateLimited

logger = logging.getLogger(__name__)

#: Prefix of the Redis keys that hold the counts.
LIMIT = "byline:limit:"
#: The script that, in one step, counts messages and decides whether the rate allows them.
SCRIPT = Path(__file__).with_name("rate_limit.lua").read_text()


class RateLimiter:
    """Counts the messages of each API key in Redis, and refuses requests above the key's rate."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def let_through(self, key: ApiKey | None, amount: int) -> None:
        """Checks that a key's rate allows more work now, and adds this work to the key's debt.

        The work is ``amount`` short messages (:mod:`tasks.work`). The debt shrinks at the key's
        rate. Work is allowed if there is no debt, or if the new debt is zero after one second.

        Raises:
            RateLimited: the client sends faster than the key's rate.
        """
        if key is None or key.rate is None:
            return
        rate = int(key.rate * 1000)
        try:
            wait_us = int(await self._client.eval(SCRIPT, 1, LIMIT + key.name, rate, amount))
        except RedisError as error:  # the request goes on without a limit
            logger.warning("the rate limit of key %s is not enforced: %s", key.name, error)
            return
        if wait_us > 0:
            reason = f"this key's limit is {key.rate} messages a second"
            raise RateLimited(reason, math.ceil(wait_us / 1_000_000))
