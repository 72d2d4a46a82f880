"""Stores attributions in Redis, each under its message id, with a time to live."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from redis import Redis, ResponseError
from redis.client import Pipeline

from tasks.errors import BecameDeadLetter
from tasks.messages import Attribution, Outcome
from tasks.storage.lua_scripts import own_script
from tasks.storage.record import pack, unpack

#: Prefix of the keys of attributions, before the message id.
RESULT = "byline:result:"
#: Prefix under which earlier releases stored attributions, as JSON. Clients may still ask for these
#: by id. Earlier releases can't read a record, so no record is stored under this prefix.
EARLIER = "byline:attribution:"
#: Prefix of the keys of failures.
FAILURE = "byline:failure:"
#: Prefix of the keys that count how often a message was tried alone.
ATTEMPTS = "byline:attempts:"

#: Seconds for which a failure is stored for clients that ask by id. The time is short, because a
#: client that sends the message again does not get the stored failure: the message is tried again.
FAILURE_TTL_S = 300

_PUT = own_script("put_results")
#: Parts of the errors with which Redis refuses to increment a value that is no number.
_NO_COUNT = ("WRONGTYPE", "not an integer", "would overflow")


def keys(ids: Iterable[str]) -> list[str]:
    """Returns the Redis keys of the attributions with these message ids."""
    return [RESULT + id for id in ids]


def decode(ids: Iterable[str], values: Iterable[Any]) -> dict[str, Outcome]:
    """Returns the outcomes that Redis has, by message id. Marks attributions as cached.

    ``values`` has the value in Redis for each of ``ids``, or None. Leaves out values that can't be
    decoded.
    """
    outcomes = {id: unpack(id, raw) for id, raw in zip(ids, values, strict=True) if raw is not None}
    # If a value is left out, a worker computes the message again and overwrites the value.
    return {id: outcome for id, outcome in outcomes.items() if outcome is not None}


class AttributionCache:
    """Reads and writes attributions. All methods may raise ``redis.RedisError``."""

    def __init__(self, client: Redis, ttl_s: int) -> None:
        self._client = client
        self._ttl_s = ttl_s

    def get_many(self, ids: Sequence[str]) -> dict[str, Outcome]:
        """Returns the outcomes that the cache has, by message id. Takes one round trip.

        The outcomes are attributions and the failures of dead letters. Messages with other failures
        are tried again.
        """
        if not ids:
            return {}
        return decode(ids, self._client.mget(keys(ids)))

    def put(self, pipe: Pipeline, outcomes: Iterable[Outcome]) -> None:
        """Queues commands on ``pipe`` that store outcomes. The caller executes the pipeline."""
        lasting = []
        for outcome in outcomes:
            if isinstance(outcome, Attribution) or outcome.code == BecameDeadLetter.code:
                lasting.append(outcome)
            else:
                pipe.set(FAILURE + outcome.id, pack(outcome), ex=FAILURE_TTL_S)
        if lasting:
            names, values = keys(outcome.id for outcome in lasting), map(pack, lasting)
            pipe.execute_command("EVAL", _PUT, len(names), *names, self._ttl_s, *values)

    def count_trial(self, id: str) -> int:
        """Counts one more trial of a message, and returns the number of trials so far.

        In a trial, the message is computed alone. Call this method before the trial, because the
        trial may kill the worker.
        """
        try:
            with self._client.pipeline() as pipe:
                pipe.incr(ATTEMPTS + id)
                pipe.expire(ATTEMPTS + id, self._ttl_s)
                trials, _ = pipe.execute()
        except ResponseError as error:
            if not any(words in str(error) for words in _NO_COUNT):
                raise
            self._client.set(ATTEMPTS + id, 1, ex=self._ttl_s)
            return 1
        return int(trials)

    def put_tried(self, outcome: Outcome) -> None:
        """Stores the outcome of a trial, and deletes the message's count of trials."""
        with self._client.pipeline() as pipe:
            self.put(pipe, [outcome])
            pipe.delete(ATTEMPTS + outcome.id)
            pipe.execute()

    def forget(self, id: str) -> None:
        """Deletes a dead letter's outcome, so that workers try a message with this id again."""
        self._client.delete(RESULT + id, ATTEMPTS + id)
