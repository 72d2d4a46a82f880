"""Attributions in Redis, each under its message's key, with a time to live."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from redis import Redis, ResponseError
from redis.client import Pipeline

from tasks.errors import BecameDeadLetter
from tasks.messages import Attribution, Outcome
from tasks.storage.lua_scripts import own_script
from tasks.storage.record import pack, unpack

RESULT = "byline:result:"
#: Where earlier code kept them, as the answer's JSON. Some were promised, so they can be found by
#: their id for as long as they last. That code can't read a record, and never meets one here.
EARLIER = "byline:attribution:"
FAILURE = "byline:failure:"
ATTEMPTS = "byline:attempts:"

#: Seconds for which a failure is told to those who ask by id. Short: sent again, it is tried again.
FAILURE_TTL_S = 300

_PUT = own_script("put_results")
#: How Redis refuses to count on from what is no count.
_NO_COUNT = ("WRONGTYPE", "not an integer", "would overflow")


def keys(ids: Iterable[str]) -> list[str]:
    """Return under which keys the attributions of ``ids`` are kept."""
    return [RESULT + id for id in ids]


def found(ids: Iterable[str], values: Iterable[Any]) -> dict[str, Outcome]:
    """Return what was kept under the keys of ``ids``, by id, marked as cached. None: nothing was.

    What can't be read counts as not kept: it is computed, and overwritten.
    """
    outcomes = {id: unpack(id, raw) for id, raw in zip(ids, values, strict=True) if raw is not None}
    return {id: outcome for id, outcome in outcomes.items() if outcome is not None}


class AttributionCache:
    """Reads and writes attributions. Every method may raise ``redis.RedisError``."""

    def __init__(self, client: Redis, ttl_s: int) -> None:
        self._client = client
        self._ttl_s = ttl_s

    def get_many(self, ids: Sequence[str]) -> dict[str, Outcome]:
        """Return the outcomes that last, by id, marked as cached. One round trip.

        Those are attributions, and that a message is a dead letter.
        """
        if not ids:
            return {}
        return found(ids, self._client.mget(keys(ids)))

    def put(self, pipe: Pipeline, outcomes: Iterable[Outcome]) -> None:
        """Queue the writes of ``outcomes`` on ``pipe``; the caller executes it."""
        lasting = []
        for outcome in outcomes:
            if isinstance(outcome, Attribution) or outcome.code == BecameDeadLetter.code:
                lasting.append(outcome)
            else:
                pipe.set(FAILURE + outcome.id, pack(outcome), ex=FAILURE_TTL_S)
        if lasting:
            places, values = keys(outcome.id for outcome in lasting), map(pack, lasting)
            pipe.execute_command("EVAL", _PUT, len(places), *places, self._ttl_s, *values)

    def attempt(self, id: str) -> int:
        """Note that a message is about to be tried alone, and return how often it was by then."""
        try:
            with self._client.pipeline() as pipe:
                pipe.incr(ATTEMPTS + id)
                pipe.expire(ATTEMPTS + id, self._ttl_s)
                attempts, _ = pipe.execute()
        except ResponseError as error:
            if not any(words in str(error) for words in _NO_COUNT):
                raise
            self._client.set(ATTEMPTS + id, 1, ex=self._ttl_s)
            return 1
        return int(attempts)

    def put_alone(self, outcome: Outcome) -> None:
        """Write the outcome of a message that was tried alone: its attempts are forgotten."""
        with self._client.pipeline() as pipe:
            self.put(pipe, [outcome])
            pipe.delete(ATTEMPTS + outcome.id)
            pipe.execute()

    def forget(self, id: str) -> None:
        """Have a dead letter tried again where somebody sends it."""
        self._client.delete(RESULT + id, ATTEMPTS + id)
