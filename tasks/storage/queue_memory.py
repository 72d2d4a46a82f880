"""The memory that the broker needs for what it may not evict: tasks, and promises."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis import Redis, ResponseError

from tasks.messages import UNACKED
from tasks.storage.pending_results import PROMISES

#: Share of the broker's memory that tasks and promises may have together, and that promises may
#: have. The rest is for the cache, for replies, and for a task that is there twice while it is
#: taken.
QUEUE_SHARE = 0.5
PROMISES_SHARE = 0.25
#: Bytes that a promise takes, as a rule: its key, its outcome, its entry in the sorted set.
PROMISE_BYTES = 1024
#: Parts of a list, of about 8 KB or a task each, that Redis looks at: the latest. It takes those
#: behind them for as large. To look at all takes it less than a millisecond.
SAMPLES = 5000


class QueueMemory(NamedTuple):
    """One look at it, in bytes."""

    used: int
    #: What may be used; infinite where Redis has no limit.
    room: float
    #: How many answers are promised and not fetched.
    pending_results: int

    @property
    def promised_room(self) -> float:
        """How many answers may be promised; infinite where Redis has no limit."""
        return self.room / QUEUE_SHARE * PROMISES_SHARE / PROMISE_BYTES

    def __str__(self) -> str:
        return f"{self.used / 2**20:.1f} MB of {self.room / 2**20:.1f} MB"


def look(client: Redis, lists: Sequence[str]) -> QueueMemory:
    """Return how it is. ``lists`` are those of all queues. Raises ``RedisError``."""
    with client.pipeline(transaction=False) as pipe:
        for name in (*lists, UNACKED):
            pipe.memory_usage(name, samples=SAMPLES)
        pipe.zcard(PROMISES)
        pipe.info("memory")
        answers: list[Any] = pipe.execute(raise_on_error=False)
    # What holds another type counts for nothing, nor what a Redis does not tell this user.
    *sizes, pending_results, memory = [None if isinstance(a, ResponseError) else a for a in answers]
    limit = (memory or {}).get("maxmemory") or math.inf
    used = sum(size or 0 for size in sizes) + (pending_results or 0) * PROMISE_BYTES
    return QueueMemory(used, limit * QUEUE_SHARE, pending_results or 0)
