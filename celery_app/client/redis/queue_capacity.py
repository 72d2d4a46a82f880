"""Room in the queue: whether the broker has the memory for more tasks."""

from __future__ import annotations

import math
import time
from contextlib import suppress

from tasks.errors import Overloaded
from tasks.storage.queue_memory import QueueMemory

#: Seconds after which a task that was never answered counts as any other's.
FORGET_S = 60.0
#: Seconds for which the queue is said to be full after something was refused.
SHOWN_S = 3.0


class QueueCapacity:
    """Knows what the queue takes: by the last look, and what this process has under way since.

    One thread looks; all else is for the loop's thread.
    """

    def __init__(self, max_pending_results: int) -> None:
        """``max_pending_results``: the most that may be promised, whatever memory there is."""
        self._promised_messages = max_pending_results
        #: Size of each task that was sent and is not answered, by its chunk's id, and when it was
        #: sent, monotonic, in seconds. The oldest is first.
        self._tasks: dict[str, tuple[int, float]] = {}
        #: Bytes of all of them.
        self.under_way = 0
        #: The last look, and the bytes that were under way before it.
        self._look = QueueMemory(0, math.inf, 0), 0
        #: Monotonic time of the last refusal, in seconds.
        self._refused_at = -SHOWN_S

    def note(self, seen: QueueMemory, under_way: int) -> None:
        """Take in a look at the queue; before it, :attr:`under_way` was ``under_way``."""
        self._look = seen, under_way

    def take(self, chunk: str, size: int) -> None:
        """Count a task of so many bytes, which is about to be sent.

        Raises:
            Overloaded: the queue has no room for it.
        """
        self.check(size)
        now = time.monotonic()
        self._tasks[chunk] = size, now
        self.under_way += size
        oldest = next(iter(self._tasks))
        if self._tasks[oldest][1] < now - FORGET_S:
            self.free(oldest)

    def free(self, chunk: str) -> None:
        """Note that a task is not under way any more."""
        size, _ = self._tasks.pop(chunk, (0, 0.0))
        self.under_way -= size

    def check(self, size: int = 0) -> None:
        """See whether so many bytes would go into the queue. Raises ``Overloaded``."""
        seen, under_way = self._look
        if seen.used + self.under_way - under_way + size > seen.room:
            self._refused_at = time.monotonic()
            raise Overloaded(f"the queue is full: {seen}")

    @property
    def words(self) -> str:
        """``ok``, or that it is full, and how: something has just been refused."""
        with suppress(Overloaded):
            self.check()
        full = time.monotonic() < self._refused_at + SHOWN_S
        return f"full: {self._look[0]}" if full else "ok"

    @property
    def pending_results(self) -> int:
        """The most answers that may be promised and not fetched."""
        return int(min(self._promised_messages, self._look[0].promised_room))
