"""Estimates whether the broker has memory for more tasks. Does not ask Redis before each task."""

from __future__ import annotations

import math
import time
from contextlib import suppress

from tasks.errors import Overloaded
from tasks.storage.queue_memory import QueueMemory

#: Seconds after which a task without a reply is no longer counted as in flight.
FORGET_S = 60.0
#: Seconds for which the queue is reported as full after a task was refused.
SHOWN_S = 3.0


class QueueCapacity:
    """Estimates the queue's memory from the last measurement and the tasks that were sent after it.

    The thread that checks the broker calls :meth:`record`, and reads ``in_flight_bytes`` and
    ``state``. The event loop's thread calls all other methods.
    """

    def __init__(self, max_pending_results: int) -> None:
        """``max_pending_results`` limits how many outcomes the broker keeps for callers."""
        self._max_pending_results = max_pending_results
        #: Bytes and sending time (monotonic, in seconds) of each task without a reply, by chunk id.
        #: The oldest task comes first.
        self._tasks: dict[str, tuple[int, float]] = {}
        #: Bytes of all tasks without a reply.
        self.in_flight_bytes = 0
        #: The last measurement, and the value of ``in_flight_bytes`` just before the measurement.
        self._measurement = QueueMemory(0, math.inf, 0), 0
        #: Monotonic time of the last refusal, in seconds.
        self._refused_at = -SHOWN_S

    def record(self, measured: QueueMemory, in_flight_bytes: int) -> None:
        """Records a measurement of the queue's memory.

        ``in_flight_bytes`` is the value of the attribute :attr:`in_flight_bytes` (bytes of all
        tasks without a reply) just before the measurement.
        """
        self._measurement = measured, in_flight_bytes

    def take(self, chunk_id: str, size: int) -> None:
        """Counts a task of ``size`` bytes that is about to be sent.

        Raises:
            Overloaded: the queue has no room for the task.
        """
        self.check(size)
        now = time.monotonic()
        self._tasks[chunk_id] = size, now
        self.in_flight_bytes += size
        oldest = next(iter(self._tasks))
        if self._tasks[oldest][1] < now - FORGET_S:
            self.free(oldest)

    def free(self, chunk_id: str) -> None:
        """Stops counting a task, because its reply came or because it could not be sent."""
        size, _ = self._tasks.pop(chunk_id, (0, 0.0))
        self.in_flight_bytes -= size

    def check(self, size: int = 0) -> None:
        """Raises ``Overloaded`` if the queue's memory has no room for a task of ``size`` bytes."""
        measured, in_flight_bytes = self._measurement
        if measured.used + self.in_flight_bytes - in_flight_bytes + size > measured.room:
            self._refused_at = time.monotonic()
            raise Overloaded(f"the queue is full: {measured}")

    @property
    def state(self) -> str:
        """The queue's state in words: ``ok``, or ``full: …`` if a task was refused a moment ago."""
        with suppress(Overloaded):
            self.check()
        full = time.monotonic() < self._refused_at + SHOWN_S
        return f"full: {self._measurement[0]}" if full else "ok"

    @property
    def pending_results(self) -> int:
        """The largest number of outcomes that the broker may keep for callers to fetch later."""
        return int(min(self._max_pending_results, self._measurement[0].max_pending_results))
