"""Limits each API key to its rate, which Redis counts for all processes."""

from __future__ import annotations

import logging
import math

from redis import RedisError
from redis.asyncio import Redis

from api.keys import Key
from tasks.errors import RateLimited

logger = logging.getLogger(__name__)

LIMIT = "byline:limit:"
#: Microseconds of its rate that a key may use at once.
BURST_US = 1_000_000
#: A rate is counted in thousandths of a message a second. So much is then one message, and what a
#: key earns in a microsecond is its rate.
MESSAGE = 1_000_000_000

#: A leaky bucket by Redis's own clock, in whole numbers below 2^53, which Lua's are exact for.
#: KEYS[1] holds the rate, what is owed, and when that was so, in microseconds. What is owed is paid
#: off at the rate ARGV[1]. Lets ARGV[2] messages through unless more than a second's worth, or
#: these messages alone, would then be owed. Returns the microseconds to wait, 0: let through.
#: Any other value, one of another rate, or one from the future counts as nothing owed.
SCRIPT = f"""
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local rate, cost = tonumber(ARGV[1]), ARGV[2] * {MESSAGE}
local owed, kept = 0, redis.pcall('GET', KEYS[1])
if type(kept) == 'string' then
  local kept_rate, kept_owed, at = string.match(kept, '^(%d+) (%d+) (%d+)$')
  if tonumber(kept_rate) == rate and tonumber(at) <= now then
    owed = math.max(0, kept_owed - (now - at) * rate)
  end
end
local excess = owed + cost - math.max({BURST_US} * rate, cost)
if excess > 0 then return math.ceil(excess / rate) end
owed = owed + cost
redis.call('SET', KEYS[1], string.format('%.0f %.0f %.0f', rate, owed, now),
  'PX', math.ceil(owed / rate / 1000) + 1)
return 0
"""


class RateLimiter:
    """Counts what each key asks for, in Redis, for all processes."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def let_through(self, key: Key | None, amount: int) -> None:
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
