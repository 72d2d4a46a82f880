"""Who may ask, and how much: API keys, and a rate for each key, kept in Redis for all processes."""

from __future__ import annotations

import logging
import math

from redis import RedisError
from redis.asyncio import Redis

from api.keys import Key, Keys
from tasks.errors import RateLimited, Unauthorized

logger = logging.getLogger(__name__)

LIMIT = "byline:limit:"
#: Seconds of its rate that a key may use at once.
BURST_S = 1.0

#: The generic cell rate algorithm (ITU-T I.371): KEYS[1] holds when all that was let through will
#: have been paid for. Lets ARGV[1] seconds' worth through unless that time is then more than
#: ARGV[2] seconds ahead; returns the seconds to wait, 0: let through. By Redis's own clock.
#: What is there and is no such time counts as none: a time is kept until it has come, no longer.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local kept = redis.pcall('GET', KEYS[1])
kept = type(kept) == 'string' and tonumber(kept) or 0
local cost, ahead_at_most = tonumber(ARGV[1]), tonumber(ARGV[2])
local paid = math.max(now, kept) + cost
local ahead = paid - now - ahead_at_most
if ahead > 0 and kept > now + redis.call('PTTL', KEYS[1]) / 1000 + 1 then
  paid, ahead = now + cost, cost - ahead_at_most
end
if ahead > 0 then return tostring(ahead) end
redis.call('SET', KEYS[1], string.format('%.6f', paid), 'PX', math.ceil((paid - now) * 1000) + 1)
return '0'
"""


class Guard:
    """Lets in who has a key, as often as the key may be used."""

    def __init__(self, keys: Keys | None, client: Redis) -> None:
        """Without ``keys`` everybody may ask, and as much as goes."""
        self._keys = keys
        self._client = client

    def know(self, authorization: str) -> Key | None:
        """Return who asks; None where everybody may.

        Raises:
            Unauthorized: this one may not.
        """
        if self._keys is None:
            return None
        key = self._keys.find(authorization)
        if key is None:
            raise Unauthorized("send an API key as Authorization: Bearer <key>")
        return key

    async def let_through(self, key: Key | None, messages: int) -> None:
        """Count the messages of a request.

        More than a second's worth at once are let through when the key has been idle for as long.

        Raises:
            RateLimited: those who ask with this key have asked for too much.
        """
        if key is None or key.rate is None:
            return
        cost = messages / key.rate
        try:
            wait = float(
                await self._client.eval(_SCRIPT, 1, LIMIT + key.name, cost, max(BURST_S, cost))
            )
        except RedisError as error:  # what is asked will fail or be answered for its own reasons
            logger.warning("the rate of %s can't be counted: %s", key.name, error)
            return
        if wait > 0:
            words = f"this key may be used for {key.rate:g} messages a second"
            raise RateLimited(words, math.ceil(wait))
