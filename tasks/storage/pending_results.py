"""Pending results: results promised with HTTP 202, kept at the broker until fetched or expired.

A pending result is a Redis key without a time to live. So a Redis with ``volatile-lru`` keeps
pending results, even if the cache is full.
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

_ADD = own_script("add_pending_results", "make_way", "pending_values")
_KEEP = own_script("keep_outcomes", "pending_values")
_RELEASE = own_script("release_pending_results", "pending_values")
_EXPIRE = own_script("expire_pending_results", "make_way")
_END_LOST = own_script("end_lost_result")

#: Prefix of a pending result's key, before the id that the client was given. The value is empty
#: until the message has its outcome. Then the value is the outcome's id, followed by the outcome's
#: record (:mod:`tasks.storage.record`). This id differs from the client's if another model version
#: answered.
PROMISED = "byline:promise:"
#: Sorted set of the ids of all pending results, by the Unix time until which each is kept.
PROMISES = "byline:promises"
#: Prefix of the keys with which an earlier release marked pending messages. These keys expire.
EARLIER_MARK = "byline:pending:"
#: Length of a message id, in hexadecimal digits.
_ID_LENGTH = 32
#: Seconds after which a pending result's task may count as lost.
LOST_S = 60.0
_NO_BROKER = "the broker, where pending results are, can't be reached"
_NO_CACHE = "the cache, where attributions are, can't be reached"

#: Sends one command to Redis and returns the response. Raises ``RedisError``.
Call = Callable[..., Awaitable[Any]]


def add_command(
    ids: Sequence[str], until: float, max_results: int, queue: str = "", task: bytes = b""
) -> list[str | bytes | float]:
    """Returns the Redis command that adds pending results and queues their task.

    ``ids`` are the ids of the task's messages. Redis keeps the results until the Unix time
    ``until``, and responds 1. If more than ``max_results`` results would be pending, Redis adds
    none, only queues the task, and responds 0. If ``task`` is empty, no task is queued.
    """
    # One step writes results and task, so that no crash leaves one without the other.
    keys = [PROMISES, queue] if task else [PROMISES]
    return ["EVAL", _ADD, len(keys), *keys, max_results, until, task, *ids]


def keep_command(outcomes: Mapping[str, Outcome]) -> list[str | bytes | float]:
    """Returns the Redis command that stores outcomes as the values of their pending results.

    ``outcomes`` maps the message ids that clients know to outcomes. An outcome without a pending
    result is not stored.
    """
    return _with_outcomes(_KEEP, outcomes)


def expire(client: Redis) -> int:
    """Deletes the pending results that no client has fetched in time.

    Deletes at most 1,000 in a call. Returns the number of deleted results. Any process may call
    this, every few seconds. Raises ``RedisError``.
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
    """Decodes the value of a pending result; returns None if it holds no readable outcome."""
    if not raw:
        return None
    id, record = raw[:_ID_LENGTH], raw[_ID_LENGTH:]
    return unpack(id.decode(errors="replace"), record)


class PendingResults:
    """Adds, finds and releases pending results.

    A result is released once a client has fetched it. Redis may then evict the result. The methods
    ``make``, ``keep`` and ``release`` may raise ``RedisError``.
    """

    def __init__(
        self,
        broker: Call,
        cache: Call,
        ttl_s: int,
        max_results: Callable[[], int],
        lists: Callable[[], Sequence[str]],
    ) -> None:
        """A result is kept for ``ttl_s`` seconds.

        ``max_results()`` returns the upper bound of the number of pending results.

        ``lists()`` returns the names of the Redis lists of all queues. The sequence is empty if the
        names are not known.
        """
        self._broker = broker
        self._cache = cache
        self._ttl_s = ttl_s
        self._max_results = max_results
        self._lists = lists

    async def make(self, ids: Sequence[str], queue: str = "", task: bytes = b"") -> bool:
        """Adds a pending result for each message id, and queues the task in the same step.

        If ``task`` is empty, only adds the results. If there would be too many pending results,
        only queues the task, and returns False; otherwise returns True.
        """
        until = time.time() + self._ttl_s
        return bool(await self._broker(*add_command(ids, until, self._max_results(), queue, task)))

    async def keep(self, id: str, outcome: Outcome) -> None:
        """Stores an outcome that came before its pending result was added."""
        command = keep_command({id: outcome})
        try:
            await self._broker(*command)
        except ResponseError as error:
            if not is_full(error):
                raise
            await self._broker(*allowed(command))

    async def release(self, outcomes: Mapping[str, Outcome]) -> None:
        """Releases the pending results of ``outcomes``, because clients have fetched them.

        Redis keeps the outcomes for another ``ttl_s`` seconds, but may evict them sooner.
        """
        if outcomes:
            await self._broker(*_with_outcomes(_RELEASE, outcomes, time.time() + self._ttl_s))

    async def fetch(self, id: str, explain: bool) -> Outcome | None:
        """Returns the same outcome as :meth:`find`, and releases the pending result.

        If the task of a pending result is lost, the outcome is the failure ``no_answer``.

        Raises:
            KeyError, BrokerUnavailable, CacheUnavailable: see :meth:`find`.
        """
        outcome = await self.find(id, explain)
        if outcome is None:
            return await self._end_if_lost(id)
        try:
            await self.release({id: outcome})
        except RedisError as error:
            logger.warning("a fetched result can't be released: %s", type(error).__name__)
        return outcome

    async def find(self, id: str, explain: bool = False) -> Outcome | None:
        """Returns the outcome of the message ``id``; None while the outcome is pending.

        If ``explain`` is true, prefers an outcome with evidence.

        Raises:
            KeyError: the message was never accepted, or its outcome has expired.
            BrokerUnavailable: no outcome was found, and the broker can't be reached.
            CacheUnavailable: no outcome was found, and only the cache can't be reached.
        """
        keys = [prefix + id for prefix in (RESULT, EARLIER, FAILURE, EARLIER_MARK)]
        # Both servers are asked at once, so that two silent servers cost one timeout and not two.
        lookup = asyncio.ensure_future(_values(self._cache, keys))
        try:
            [promised], broker_error = await _values(self._broker, [PROMISED + id])
            kept = _unpacked(promised)
            if isinstance(kept, Attribution) and suffices(kept, explain):
                return kept
            [*known, failure, mark], cache_error = await lookup
        finally:
            lookup.cancel()
        if promised != b"":  # while a new attempt is in progress, an earlier failure does not count
            known.append(failure)
        found = [kept, *(unpack(id, raw) for raw in known if raw is not None)]
        if outcomes := [outcome for outcome in found if outcome is not None]:
            return max(outcomes, key=_rank)
        if b"" in (promised, mark):
            return None
        if broker_error:
            raise BrokerUnavailable(_NO_BROKER) from broker_error
        if cache_error:
            raise CacheUnavailable(_NO_CACHE) from cache_error
        raise KeyError(id)

    async def _end_if_lost(self, id: str) -> Failure | None:
        """Ends a pending result if its task is lost, for example after a purge of the queue.

        Returns the failure that becomes the outcome; None if the task may still exist.
        """
        if not (lists := self._lists()):
            return None
        detail = "the message was lost from the queue; send it again"
        failure = Failure(id, NoAnswer.code, detail)
        keys = [PROMISES, PROMISED + id, UNACKED, *lists]
        latest = time.time() - LOST_S
        arguments = [id, self._ttl_s, latest, _packed(failure), FAILURE_TTL_S]
        try:
            ended = await self._broker("EVAL", _END_LOST, len(keys), *keys, *arguments)
        except RedisError as error:
            raise BrokerUnavailable(_NO_BROKER) from error
        return failure if ended else None


async def _values(call: Call, keys: Sequence[str]) -> tuple[list[Any], RedisError | None]:
    """Returns the values that Redis has for ``keys``, and None as the error.

    If Redis fails, returns None for each key, and the error.
    """
    try:
        return await call("MGET", *keys), None
    except RedisError as error:
        return [None] * len(keys), error


def _rank(outcome: Outcome) -> int:
    """Returns a rank: 0 for a failure, 1 for an attribution, 2 for an attribution with evidence."""
    if not isinstance(outcome, Attribution):
        return 0
    return 2 if outcome.evidence else 1
