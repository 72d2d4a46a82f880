"""Records the true author of a message from feedback, and whether the model was right."""

from __future__ import annotations

from typing import Any

from redis import RedisError
from redis.asyncio import Redis

from monitoring.instruments.metrics import ApiMetrics
from monitoring.state.windows import Window
from tasks.errors import CacheUnavailable, Conflict, NotFound
from tasks.messages import Attribution
from tasks.storage.pending_results import PendingResults

#: Prefix of the key that holds a message's true author.
FEEDBACK = "byline:feedback:"


class Labels:
    """Records true authors. Each message counts once. Use it in one event loop's thread."""

    def __init__(
        self,
        pending_results: PendingResults,
        cache: Redis,
        window: Window,
        metrics: ApiMetrics,
        ttl_s: int,
    ) -> None:
        """A true author is kept for ``ttl_s`` seconds. In this time, its message counts once."""
        self._pending_results = pending_results
        self._cache = cache
        self._window = window
        self._metrics = metrics
        self._ttl_s = ttl_s

    async def learn(self, id: str, author: str) -> bool:
        """Records a message's true author. Returns whether the model's best guess was this author.

        Raises:
            NotFound: the attribution with this id does not exist yet, or has expired.
            Conflict: another author was given for this message before.
            BrokerUnavailable, CacheUnavailable: a server can't be reached.
        """
        attribution = await self._attribution(id)
        name = FEEDBACK + id
        try:
            if await self._cache.set(name, author, nx=True, ex=self._ttl_s):
                await self._count(name, attribution, author)
            elif (before := await self._stored_author(name)) and before != author.encode():
                raise Conflict("another author was given for this message before")
        except RedisError:
            raise CacheUnavailable("the cache, where attributions are, can't be reached") from None
        return attribution.candidates[0].author == author

    async def _stored_author(self, name: str) -> bytes | None:
        """Returns the author that is stored under the key ``name``; None if there is no author.

        Deletes a key that holds no string.
        """
        found: Any = await self._cache.mget([name])
        before: bytes | None = found[0]
        if before is None:
            await self._cache.delete(name)
        return before

    async def _attribution(self, id: str) -> Attribution:
        try:
            outcome = await self._pending_results.find(id)
        except KeyError:
            outcome = None
        if not isinstance(outcome, Attribution) or not outcome.candidates:
            raise NotFound("no attribution has this id: unknown, not made yet, or kept no longer")
        return outcome

    async def _count(self, name: str, attribution: Attribution, author: str) -> None:
        right = attribution.candidates[0].author == author
        counts = {"labels": 1, "right": int(right)}
        try:
            async with self._cache.pipeline() as pipe:
                self._window.add(pipe, attribution.model, counts)
                await pipe.execute()
        except RedisError:
            await self._cache.delete(name)  # so that the feedback counts when it is sent again
            raise
        self._metrics.feedback.labels(str(right).lower()).inc()
