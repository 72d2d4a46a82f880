"""Promised answers, kept at the broker until somebody has fetched them.

A promise is a key without a time to live: a Redis that evicts only what has one (``volatile-lru``)
keeps it, however full the cache is. It holds nothing while its message is under way, and then the
outcome. It is written in the same step as the task, so that no crash separates the two.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from redis import Redis, RedisError, ResponseError

from tasks.errors import BrokerUnavailable, CacheUnavailable, NoAnswer
from tasks.messages import UNACKED, Attribution, Failure, Outcome, suffices
from tasks.storage.full_redis import allowed, is_full
from tasks.storage.lua_scripts import own_script
from tasks.storage.record import pack, unpack
from tasks.storage.result_cache import EARLIER, FAILURE, FAILURE_TTL_S, RESULT

logger = logging.getLogger(__name__)

_PROMISE = own_script("promise", "make_way", "pending_results")
_KEEP = own_script("keep", "pending_results")
_RELEASE = own_script("release", "pending_results")
_EXPIRE = own_script("expire", "make_way")
_LOST = own_script("lost")

#: Prefix of a promise's key. The value is empty while the message is pending. Later it is the id
#: that the answer has, which is another where another model version answered, and then the record.
PROMISED = "byline:promise:"
#: A sorted set of the ids that are promised and not fetched, by the Unix time until which each is
#: kept.
PROMISES = "byline:promises"
#: Where the version before this one marked what was pending. The last of these marks end with
#: their time to live.
EARLIER_MARK = "byline:pending:"
#: Hexadecimal digits of an id.
_ID_LENGTH = 32
#: Seconds for which a pending promise is not suspected of having lost its task.
LOST_S = 60.0
_NO_BROKER = "the broker, where promised answers are, can't be reached"
_NO_CACHE = "the cache, where attributions are, can't be reached"

#: Sends one command to Redis and returns the answer. Raises ``RedisError``.
Call = Callable[..., Awaitable[Any]]


def promise(
    ids: Sequence[str], until: float, room: int, queue: str = "", task: bytes = b""
) -> list[str | bytes | float]:
    """Return the command that promises the answers of ``ids`` and queues their task, in one step.

    ``until``: Unix time until which they are kept. ``room``: the most that may be promised.
    Without ``task``, it was queued before. Redis answers 1 where they are promised. Where there is
    no room, it answers 0, and the task is queued all the same.
    """
    keys = [PROMISES, queue] if task else [PROMISES]
    return ["EVAL", _PROMISE, len(keys), *keys, room, until, task, *ids]


def keep(outcomes: Mapping[str, Outcome]) -> list[str | bytes | float]:
    """Return the command that keeps, of ``outcomes`` by promised id, those that are promised."""
    return _with_outcomes(_KEEP, outcomes)


def expire(client: Redis) -> int:
    """End promises whose time is over, a thousand at most. Return how many. Raises ``RedisError``.

    Any process may do so, every few seconds.
    """
    ended: Any = client.eval(_EXPIRE, 1, PROMISES, str(time.time()))
    return int(ended)


def _with_outcomes(
    script: str, outcomes: Mapping[str, Outcome], *arguments: float
) -> list[str | bytes | float]:
    pairs = [part for id, outcome in outcomes.items() for part in (id, _packed(outcome))]
    return ["EVAL", script, 1, PROMISES, *arguments, *pairs]


def _packed(outcome: Outcome) -> bytes:
    return outcome.id.encode() + pack(outcome)


def _unpacked(raw: bytes | None) -> Outcome | None:
    """Return the outcome that a promise holds; None: it holds none, or nothing that can be read."""
    if not raw:
        return None
    id, record = raw[:_ID_LENGTH], raw[_ID_LENGTH:]
    return unpack(id.decode(errors="replace"), record)


class PendingResults:
    """Makes and finds promises. ``make``, ``keep`` and ``release`` may raise ``RedisError``."""

    def __init__(
        self,
        broker: Call,
        cache: Call,
        ttl_s: int,
        room: Callable[[], int],
        lists: Callable[[], Sequence[str]],
    ) -> None:
        """A promise is kept for ``ttl_s`` seconds; ``room()`` is how many there may be.

        ``lists()`` are the lists of all queues; empty: they are not known.
        """
        self._broker = broker
        self._cache = cache
        self._ttl_s = ttl_s
        self._room = room
        self._lists = lists

    async def make(self, ids: Sequence[str], queue: str = "", task: bytes = b"") -> bool:
        """Promise the answers of ``ids``, and queue their task, if one is given, in the same step.

        Returns False where there is no room: none is promised, and the task is queued all the same.
        """
        until = time.time() + self._ttl_s
        return bool(await self._broker(*promise(ids, until, self._room(), queue, task)))

    async def keep(self, id: str, outcome: Outcome) -> None:
        """Keep an outcome that the worker stored before the promise was made."""
        command = keep({id: outcome})
        try:
            await self._broker(*command)
        except ResponseError as error:
            if not is_full(error):
                raise
            await self._broker(*allowed(command))

    async def release(self, outcomes: Mapping[str, Outcome]) -> None:
        """Make room: these were told. They are kept on as what is cached, and may be evicted."""
        if outcomes:
            await self._broker(*_with_outcomes(_RELEASE, outcomes, time.time() + self._ttl_s))

    async def fetch(self, id: str, explain: bool) -> Outcome | None:
        """Return what :meth:`find` does, for the caller who was promised it: it is released then.

        A promise whose task is lost ends with ``no_answer``.

        Raises:
            KeyError, BrokerUnavailable, CacheUnavailable: as :meth:`find`.
        """
        outcome = await self.find(id, explain)
        if outcome is None:
            return await self._lost(id)
        try:
            await self.release({id: outcome})
        except RedisError as error:
            logger.warning("a promise that was kept takes up room: %s", type(error).__name__)
        return outcome

    async def find(self, id: str, explain: bool = False) -> Outcome | None:
        """Return the outcome of ``id``, or None while it is pending.

        With ``explain`` it has evidence, if that is kept anywhere.

        Raises:
            KeyError: no such message is known: never accepted, or long ago.
            BrokerUnavailable: it was not found, and the broker can't be reached.
            CacheUnavailable: it was not found, and the cache, but not the broker, can't be reached.
        """
        places = [place + id for place in (RESULT, EARLIER, FAILURE, EARLIER_MARK)]
        # Both are asked at once: a server that is silent is waited for once.
        asked = asyncio.ensure_future(_values(self._cache, places))
        try:
            [promised], broker_error = await _values(self._broker, [PROMISED + id])
            kept = _unpacked(promised)
            if isinstance(kept, Attribution) and suffices(kept, explain):
                return kept
            [*known, failure, mark], cache_error = await asked
        finally:
            asked.cancel()
        if promised != b"":  # how an earlier attempt failed says nothing of one that is under way
            known.append(failure)
        found = [kept, *(unpack(id, raw) for raw in known if raw is not None)]
        if outcomes := [outcome for outcome in found if outcome is not None]:
            return max(outcomes, key=_worth)
        if b"" in (promised, mark):
            return None
        if broker_error:
            raise BrokerUnavailable(_NO_BROKER) from broker_error
        if cache_error:
            raise CacheUnavailable(_NO_CACHE) from cache_error
        raise KeyError(id)

    async def _lost(self, id: str) -> Failure | None:
        """End a promise whose task is nowhere, as after a purge; None: it may still be there."""
        if not (lists := self._lists()):
            return None
        words = "the message was lost from the queue; send it again"
        failure = Failure(id, NoAnswer.code, words)
        keys = [PROMISES, PROMISED + id, UNACKED, *lists]
        latest = time.time() - LOST_S
        value = _packed(failure)
        command = ["EVAL", _LOST, len(keys), *keys, id, self._ttl_s, latest, value, FAILURE_TTL_S]
        try:
            return failure if await self._broker(*command) else None
        except RedisError as error:
            raise BrokerUnavailable(_NO_BROKER) from error


async def _values(call: Call, keys: Sequence[str]) -> tuple[list[Any], RedisError | None]:
    """Return the values of the keys, all None where Redis does not answer, and then the error."""
    try:
        return await call("MGET", *keys), None
    except RedisError as error:
        return [None] * len(keys), error


def _worth(outcome: Outcome) -> int:
    """Return how much an outcome says: a failure least, evidence most."""
    if not isinstance(outcome, Attribution):
        return 0
    return 2 if outcome.evidence else 1
