"""Reads the state of the task queue from Redis, without asking a worker."""

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

#: Maximum number of tasks that are remembered for each list. At this number, every second task is
#: forgotten. So the longer the oldest task waits, the further apart the remembered tasks are.
MAX_SIGHTINGS = 16


class QueueState(NamedTuple):
    """The state of the queues of all model versions together, at one moment."""

    #: Tasks that wait for a worker.
    ready: int
    #: Tasks that workers hold.
    unacked: int
    #: Seconds for which the oldest task has waited; 0 if none waits.
    oldest_s: float
    #: The model version that is served.
    version: str | None
    #: Workers that serve that version.
    workers: int
    memory: QueueMemory


class _Task(msgspec.Struct):
    headers: dict[str, Any]


_task = msgspec.json.Decoder(_Task).decode


class QueueObserver:
    """Reads the queue's state repeatedly, and remembers tasks to tell how long they have waited."""

    def __init__(self, client: Redis, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._now = now
        self._worker_registry = WorkerRegistry(client, now)
        self._sightings: dict[str, Sightings] = {}

    def read(self) -> QueueState:
        """Returns the queue's present state. Raises ``RedisError``."""
        now, served = self._now(), self._worker_registry.look()
        names = served.lists
        known = self._sightings
        self._sightings = {name: known.get(name) or Sightings(self._client, name) for name in names}
        with self._client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.llen(name)
                pipe.lindex(name, -1)
            pipe.hlen(UNACKED)
            *lists, unacked = without_wrong_types(pipe.execute(raise_on_error=False))
        heads = dict(zip(names, lists[1::2], strict=True))
        ready = sum(filter(None, lists[::2]))
        oldest_s = max(self._age(name, head, now) for name, head in heads.items())
        version = served.rollout.current if served.rollout else None
        workers = served.workers.get(version or "", 0)
        memory = queue_memory.look(self._client, names)
        return QueueState(ready, unacked or 0, oldest_s, version, workers, memory)

    def _age(self, name: str, head: bytes | None, now: float) -> float:
        """Returns how long the oldest task of the list ``name`` has waited, in seconds.

        ``head`` is that task; None if the list is empty. If the task does not say when it was sent,
        :class:`Sightings` estimates how long it has waited.
        """
        sightings = self._sightings[name]
        try:
            sent = None if head is None else _task(head).headers.get(SENT)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            head = sent = None  # not a task: the worker that takes the item reports it
        if head is None:
            sightings.clear()
            return 0.0
        since = sent if isinstance(sent, float) else sightings.waiting_since(now)
        return min(max(0.0, now - since), LONGEST_WAIT_S)


class Sightings:
    """Estimates how long tasks of a Redis list have waited, if they do not say when they were sent.

    Only Byline's own client writes this time into its tasks. This object remembers, at several
    times, which task is the list's newest. While this task waits, all tasks ahead of it have waited
    at least since that time.
    """

    def __init__(self, client: Redis, name: str) -> None:
        self._client = client
        self._name = name
        #: Pairs of a time and the task that was the newest then, the oldest pair first.
        self._seen: list[tuple[float, Any]] = []

    def clear(self) -> None:
        """Forgets all remembered tasks, because the list is empty or its oldest item is no task."""
        self._seen.clear()

    def waiting_since(self, now: float) -> float:
        """Returns a Unix time since which the oldest task of the list has surely been waiting.

        The task may have been waiting for longer. Raises ``RedisError``.
        """
        while self._seen and self._client.lpos(self._name, self._seen[0][1], rank=-1) is None:
            del self._seen[0]
        newest = self._client.lindex(self._name, 0)
        if newest is not None and (not self._seen or self._seen[-1][1] != newest):
            if len(self._seen) == MAX_SIGHTINGS:
                del self._seen[1::2]
            self._seen.append((now, newest))
        return self._seen[0][0] if self._seen else now
