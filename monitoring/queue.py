"""The queue as Redis has it, without asking a worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from redis import Redis

from tasks.deadletters import DEAD_LETTERS
from tasks.messages import ALIVE_S, LONGEST_WAIT_S, QUEUE, SENT, UNACKED, WORKERS

#: Kombu keeps a list for each step of priority, and names it so (kombu.transport.redis).
STEPS, SEPARATOR = (0, 3, 6, 9), "\x06\x16"
LISTS = tuple(f"{QUEUE}{SEPARATOR}{step}" if step else QUEUE for step in STEPS)


class State(NamedTuple):
    """One look at the queue."""

    #: Tasks that wait for a worker, and that workers hold.
    ready: int
    unacked: int
    #: Seconds for which the one at the head has waited; 0: none does.
    oldest_s: float
    workers: int
    dead_letters: int


class _Task(msgspec.Struct):
    headers: dict[str, Any]


_task = msgspec.json.Decoder(_Task).decode


class Queue:
    """Looks at the queue."""

    def __init__(self, client: Redis, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._now = now
        #: When a task at the head of a list, that does not say, was first seen; by its id.
        self._seen: dict[str, float] = {}

    def look(self) -> State:
        """Return how it is. Raises ``RedisError``."""
        now = self._now()
        with self._client.pipeline(transaction=False) as pipe:
            for name in LISTS:
                pipe.llen(name)
                pipe.lindex(name, -1)
            pipe.hlen(UNACKED)
            pipe.zcount(WORKERS, now - ALIVE_S, "+inf")
            pipe.hlen(DEAD_LETTERS)
            *lists, unacked, workers, dead = pipe.execute()
        heads = [task for task in lists[1::2] if task is not None]
        return State(sum(lists[::2]), unacked, self._oldest(heads, now), workers, dead)

    def _oldest(self, heads: list[bytes], now: float) -> float:
        """Return the age of the oldest, by when it left the api, or was first seen here."""
        seen = {}
        ages = [0.0]
        for raw in heads:
            try:
                headers = _task(raw).headers
            except (msgspec.MsgspecError, ValueError, RecursionError):
                continue  # no task: the worker that takes it says so
            sent = headers.get(SENT)
            if not isinstance(sent, float):
                id = str(headers.get("id"))
                sent = seen[id] = self._seen.get(id, now)
            ages.append(min(max(0.0, now - sent), LONGEST_WAIT_S))
        self._seen = seen
        return max(ages)
