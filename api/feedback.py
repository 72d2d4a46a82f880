"""``/v1/feedback``: the true author of a message, when it is learned."""

from __future__ import annotations

from typing import Any

import msgspec
from redis import RedisError
from redis.asyncio import Redis

from api.answers import Answer, answer
from api.bodies import weight
from api.errors import Conflict, NotFound, NotJSON, check_json
from api.posted import Posted
from api.query import parse_query
from api.rate_limiter import RateLimiter
from api.schemas import FeedbackRequest, Learned
from api.strict import has_doubled_key
from monitoring.metrics import ApiMetrics
from monitoring.windows import Window
from tasks.errors import CacheUnavailable, InvalidMessage
from tasks.messages import Attribution
from tasks.promises import Promises

FEEDBACK = "byline:feedback:"

_request = msgspec.json.Decoder(FeedbackRequest)
_KEYS = (b'"id"', b'"author"')


class Feedback:
    """The resource. Its methods raise ``BylineError`` where the answer is a problem."""

    def __init__(
        self,
        promises: Promises,
        cache: Redis,
        limiter: RateLimiter,
        labels: Window,
        metrics: ApiMetrics,
        ttl_s: int,
    ) -> None:
        """``ttl_s``: seconds for which a message's author is remembered, and counts once."""
        self._promises = promises
        self._cache = cache
        self._limiter = limiter
        self._labels = labels
        self._metrics = metrics
        self._ttl_s = ttl_s

    async def create(self, posted: Posted) -> Answer:
        """Note who wrote a message: 202. Said twice, it counts once.

        Raises:
            NotFound: no attribution has this id, yet or any more.
            Conflict: another author was named before.
        """
        parse_query(posted.query, ())
        await self._limiter.let_through(posted.key, weight(posted.body))
        asked = _parse(posted.content_type, posted.body)
        try:
            attribution = await self._attribution(asked.id)
            name = FEEDBACK + asked.id
            if await self._cache.set(name, asked.author, nx=True, ex=self._ttl_s):
                await self._count(name, attribution, asked.author)
            elif (before := await self._before(name)) and before != asked.author.encode():
                raise Conflict("another author was given for this message before")
        except RedisError:
            raise CacheUnavailable("the cache, where attributions are, can't be reached") from None
        correct = attribution.candidates[0].author == asked.author
        return answer(Learned(asked.id, asked.author, correct), 202)

    async def _before(self, name: str) -> bytes | None:
        """Return the author that was given before. What is no string is nobody's word: it goes."""
        found: Any = await self._cache.mget([name])
        before: bytes | None = found[0]
        if before is None:
            await self._cache.delete(name)
        return before

    async def _attribution(self, id: str) -> Attribution:
        try:
            outcome = await self._promises.find(id)
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
                self._labels.add(pipe, attribution.model, counts)
                await pipe.execute()
        except RedisError:
            await self._cache.delete(name)  # so that it counts when it is said again
            raise
        self._metrics.feedback.labels(str(right).lower()).inc()


def _parse(content_type: str, body: bytes) -> FeedbackRequest:
    """Return what the body says.

    Raises:
        WrongType, NotJSON, InvalidMessage: it can't be understood.
    """
    check_json(content_type)
    try:
        asked = _request.decode(body)
        asked.author.encode()  # half a surrogate is no text
    except msgspec.ValidationError as error:
        raise InvalidMessage(str(error)) from None
    except msgspec.DecodeError as error:
        raise NotJSON(str(error)) from None
    except UnicodeError:
        raise NotJSON("the body is not UTF-8") from None
    if has_doubled_key(body, _KEYS):
        raise NotJSON("an object names a key twice")
    return asked
