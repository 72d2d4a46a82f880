"""What an api process has promised to have later, in the cache where all can find it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from redis.asyncio import Redis

from tasks.cache import EARLIER, FAILURE, PENDING, RESULT
from tasks.messages import Outcome
from tasks.record import unpack

#: Times that a message's id is followed to that of the version which answered it, at most.
RENAMED = 8


class Promises:
    """Notes and finds promises. Every method may raise ``redis.RedisError``."""

    def __init__(self, client: Redis, ttl_s: int) -> None:
        self._client = client
        self._ttl_s = ttl_s

    async def mark(self, ids: Iterable[str]) -> None:
        """Remember that these were accepted, so that those who ask are told to come again.

        How an earlier attempt failed is forgotten.
        """
        async with self._client.pipeline(transaction=False) as pipe:
            for id in ids:
                pipe.set(PENDING + id, b"", ex=self._ttl_s)
                pipe.delete(FAILURE + id)
            await pipe.execute()

    async def unmark(self, ids: Sequence[str]) -> None:
        """Forget that these were accepted: they are answered, or could not be queued."""
        await self._client.delete(*(PENDING + id for id in ids))

    async def find(self, id: str) -> Outcome | None:
        """Return the outcome of ``id``, or None while it is pending.

        Raises:
            KeyError: no such message is known: never accepted, or long ago.
        """
        for _ in range(RENAMED):
            places = (RESULT, EARLIER, FAILURE, PENDING)
            found: Any = await self._client.mget([place + id for place in places])
            *settled, pending = found
            for raw in settled:
                if raw is not None and (outcome := unpack(id, raw)) is not None:
                    return outcome
            if pending is None:
                raise KeyError(id)
            if not pending:
                return None
            id = pending.decode(errors="replace")
        raise KeyError(id)
