"""The queue as Redis has it, without asking a worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from redis import Redis

from tasks.messages import LONGEST_WAIT_S, SENT, UNACKED
from tasks.rollout import WorkerRegistry
from tasks.storage import queue_memory
from tasks.storage.queue_memory import QueueMemory
from tasks.storage.wrong_type import without_wrong_types


class State(NamedTuple):
    """One look at the queue, that of all versions."""

    #: Tasks that wait for a worker, and that workers hold.
    ready: int
    unacked: int
    #: Seconds for which the oldest has waited; 0: none does.
    oldest_s: float
    #: The version that is asked, and the workers that serve it.
    version: str | None
    workers: int
    memory: QueueMemory


class _Task(msgspec.Struct):
    headers: dict[str, Any]


_task = msgspec.json.Decoder(_Task).decode


class Queue:
    """Looks at the queue."""

    def __init__(self, client: Redis, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._now = now
        self._worker_registry = WorkerRegistry(client, now)
        self._marks: dict[str, Marks] = {}

    def look(self) -> State:
        """Return how it is. Raises ``RedisError``."""
        now, served = self._now(), self._worker_registry.look()
        names = served.lists
        kept = self._marks
        self._marks = {name: kept.get(name) or Marks(self._client, name) for name in names}
        with self._client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.llen(name)
                pipe.lindex(name, -1)
            pipe.hlen(UNACKED)
            *lists, unacked = without_wrong_types(pipe.execute(raise_on_error=False))
        heads = dict(zip(names, lists[1::2], strict=True))
        oldest = max(self._age(name, head, now) for name, head in heads.items())
        version = served.rollout.current if served.rollout else None
        workers = served.workers.get(version or "", 0)
        memory = queue_memory.look(self._client, names)
        return State(sum(filter(None, lists[::2])), unacked or 0, oldest, version, workers, memory)

    def _age(self, name: str, head: bytes | None, now: float) -> float:
        """Return the age of the oldest of a list: by when it left the api, or was seen here."""
        marks = self._marks[name]
        try:
            sent = None if head is None else _task(head).headers.get(SENT)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            head = sent = None  # no task: the worker that takes it says so
        if head is None:
            marks.clear()
            return 0.0
        since = sent if isinstance(sent, float) else marks.oldest(now)
        return min(max(0.0, now - since), LONGEST_WAIT_S)


class Marks:
    """Tasks that were the last of a list when they were seen: what is before them is older.

    Only the api says when it sent a task. Of what comes from Celery clients this says how long it
    has waited, at least.
    """

    #: So many, further apart the longer the oldest of them waits.
    MOST = 16

    def __init__(self, client: Redis, name: str) -> None:
        self._client = client
        self._name = name
        #: When each was seen, the oldest first.
        self._seen: list[tuple[float, Any]] = []

    def clear(self) -> None:
        """Forget all: nothing waits."""
        self._seen.clear()

    def oldest(self, now: float) -> float:
        """Return since when, at the latest, the oldest waits. Raises ``RedisError``."""
        while self._seen and self._client.lpos(self._name, self._seen[0][1], rank=-1) is None:
            del self._seen[0]
        last = self._client.lindex(self._name, 0)
        if last is not None and (not self._seen or self._seen[-1][1] != last):
            if len(self._seen) == self.MOST:
                del self._seen[1::2]
            self._seen.append((now, last))
        return self._seen[0][0] if self._seen else now
