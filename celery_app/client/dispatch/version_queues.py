"""The version queues of one dispatcher: one queue for each model version that messages are for."""

from __future__ import annotations

import asyncio

from celery_app.client.dispatch.limits import DispatchLimits
from celery_app.client.dispatch.version_queue import VersionQueue
from celery_app.client.redis.model_registry import ModelRegistry


class VersionQueues:
    """Makes, finds and removes version queues. Use this object in one event loop's thread."""

    def __init__(
        self, limits: DispatchLimits, model_registry: ModelRegistry, wake: asyncio.Event
    ) -> None:
        """The event ``wake`` wakes the dispatcher when a version queue may have a chunk to send."""
        self._limits = limits
        self._model_registry = model_registry
        self._wake = wake
        self._queues: dict[str, VersionQueue] = {}

    def __len__(self) -> int:
        return len(self._queues)

    def values(self) -> list[VersionQueue]:
        """Returns all version queues."""
        return list(self._queues.values())

    def of(self, version: str) -> VersionQueue:
        """Returns the queue of a model version. Makes the queue if it does not exist."""
        queue = self._queues.get(version)
        if queue is None:
            queue = VersionQueue(version, self._limits, self._model_registry, self._wake)
            self._queues[version] = queue
        return queue

    def with_chunk(self, chunk_id: str) -> VersionQueue | None:
        """Returns the queue that has this chunk in flight; None if the chunk was given up."""
        for queue in self._queues.values():
            if chunk_id in queue.in_flight:
                return queue
        return None

    def drop_unused(self) -> None:
        """Removes the queues that hold no message and whose version has no worker any more."""
        self._queues = {
            version: queue
            for version, queue in self._queues.items()
            if self._model_registry.workers_of(version) or not queue.idle
        }

    @property
    def busy(self) -> bool:
        """Whether any chunk of any version is in flight."""
        return any(queue.in_flight for queue in self._queues.values())

    @property
    def credits(self) -> int:
        """The largest number of chunks with a credit (a permit to be in flight) for one version."""
        workers = [self._model_registry.workers_of(version) for version in self._queues]
        return self._limits.credits_for(max(workers, default=0) or 1)

    @property
    def credits_in_use(self) -> int:
        """The number of credits (permits to have a chunk in flight) that are taken."""
        return sum(len(queue.in_flight.with_credit) for queue in self._queues.values())

    @property
    def wait_s(self) -> float:
        """The expected seconds until a new message is answered, for the slowest model version."""
        return max(map(self.wait_for, self._queues), default=0.0)

    def wait_for(self, version: str) -> float:
        """Returns the expected seconds until a new message for this model version is answered."""
        queue = self._queues.get(version)
        return queue.admission.wait_s if queue else 0.0
