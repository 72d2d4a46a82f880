"""Reads the outcomes that the workers have stored in the result cache."""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis

from tasks.messages import Outcome
from tasks.storage.result_cache import decode, keys


class ResultStore:
    """Reads the workers' result cache, for the dispatcher."""

    def __init__(self, cache: Redis) -> None:
        self._cache = cache

    async def look_up(self, ids: Sequence[str]) -> dict[str, Outcome]:
        """Returns a mapping from message id to outcome, for the outcomes that are in the cache.

        Sends one MGET command. Raises ``RedisError``.
        """
        # Encoded here, because redis-py's client for asyncio takes longer to encode a string.
        encoded = [key.encode() for key in keys(ids)]
        return decode(ids, await self._cache.execute_command("MGET", *encoded))
