"""Measures the broker's memory for tasks and pending results, which Redis must not evict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis import Redis, ResponseError

from tasks.messages import UNACKED
from tasks.storage.pending_results import PROMISES

#: Share of the broker's memory that tasks and pending results may take together. The rest is for
#: the cache, for replies, and for a task that is stored twice while a worker takes it.
QUEUE_SHARE = 0.5
#: Share of the broker's memory that pending results may take.
PENDING_RESULTS_SHARE = 0.25
#: Typical size of a pending result in bytes: its key, its outcome, its entry in the sorted set.
PENDING_RESULT_BYTES = 1024
#: Number of list nodes that Redis measures, from the head. A node has about 8 KB, or one task.
#: Redis assumes the same mean size for the other nodes. Measuring takes Redis less than a
#: millisecond.
SAMPLES = 5000


class QueueMemory(NamedTuple):
    """The memory that tasks and pending results take, and the limit of this memory, in bytes."""

    #: Memory that tasks and pending results take.
    used: int
    #: Memory that tasks and pending results may take; infinite if Redis has no limit.
    room: float
    #: Number of results that were promised and not fetched yet.
    pending_results: int

    @property
    def max_pending_results(self) -> float:
        """The upper bound of the number of pending results; infinite without a memory limit."""
        return self.room / QUEUE_SHARE * PENDING_RESULTS_SHARE / PENDING_RESULT_BYTES

    def __str__(self) -> str:
        return f"{self.used / 2**20:.1f} MB of {self.room / 2**20:.1f} MB"


def look(client: Redis, lists: Sequence[str]) -> QueueMemory:
    """Measures the memory that tasks and pending results take.

    ``lists`` are the names of the Redis lists of all queues. Raises ``RedisError``.
    """
    with client.pipeline(transaction=False) as pipe:
        for name in (*lists, UNACKED):
            pipe.memory_usage(name, samples=SAMPLES)
        pipe.zcard(PROMISES)
        pipe.info("memory")
        replies: list[Any] = pipe.execute(raise_on_error=False)
    # A key of the wrong type, and a figure that this Redis user may not read, count as missing.
    *sizes, pending_results, memory = [None if isinstance(r, ResponseError) else r for r in replies]
    limit = (memory or {}).get("maxmemory") or math.inf
    used = sum(size or 0 for size in sizes) + (pending_results or 0) * PENDING_RESULT_BYTES
    return QueueMemory(used, limit * QUEUE_SHARE, pending_results or 0)
