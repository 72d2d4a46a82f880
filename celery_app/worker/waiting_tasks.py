"""The tasks that wait in a worker for the model, and the choice of tasks for the next batch."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from tasks.batch.progress import Progress
from tasks.chunk_request import ChunkRequest

#: Largest number of batches of urgent tasks in a row while low-priority tasks wait.
MAX_PASSED_OVER = 8
#: For this many seconds after an urgent task came, low-priority batches are smaller. Another urgent
#: task may come soon, and would have to wait for such a batch.
RECENT_S = 1.0
#: The work of such a smaller low-priority batch is limited to ``max_work`` divided by this number.
LOW_PRIORITY_DIVISOR = 4


@dataclass(slots=True, eq=False)
class LargeTask:
    """A task that needs several batches (passes), with batches of other tasks between them.

    A task is large if it has too much work for one batch, or if a worker died while it had the
    task. After such a death, the messages are tried one at a time.
    """

    request: ChunkRequest
    progress: Progress
    #: Monotonic time of the first pass, in seconds; 0 before the first pass.
    started: float = 0.0
    #: Whether the outcomes of all passes so far could be stored.
    stored: bool = True


class NextBatch(NamedTuple):
    """The next batch: either whole small tasks, or a part of one large task."""

    #: The tasks, or the one large task.
    requests: list[ChunkRequest]
    #: The large task of which the batch is a part; None if the batch has whole tasks.
    large: LargeTask | None = None


class WaitingTasks:
    """Holds the tasks that wait for the model, and chooses the tasks of the next batch.

    Batches of small tasks alternate with batches of one large task. No batch has both urgent and
    low-priority tasks. Any thread may read the properties.
    """

    def __init__(self, max_work: int) -> None:
        """``max_work`` limits the work of a batch, in units of one short message."""
        self._max_work = max_work
        self._urgent: deque[ChunkRequest] = deque()
        self._low_priority: deque[ChunkRequest] = deque()
        #: Number of batches of urgent tasks in a row that ran while low-priority tasks waited.
        self._passed_over = 0
        #: Monotonic time at which the last urgent task came, in seconds.
        self._urgent_at = -RECENT_S
        self._large: deque[LargeTask] = deque()
        #: Whether the next batch is for a large task, because the last batch had small tasks.
        self._large_next = False

    def __bool__(self) -> bool:
        return bool(self._urgent or self._low_priority or self._large)

    def add(self, request: ChunkRequest) -> None:
        """Adds a task behind the other tasks of its kind: urgent, low-priority or large."""
        if request.chunk is not None and (request.orphaned or request.work > self._max_work):
            self._large.append(LargeTask(request, Progress(request.chunk)))
        elif request.low_priority:
            self._low_priority.append(request)
        else:
            self._urgent.append(request)
            self._urgent_at = time.monotonic()

    def add_rest(self, large: LargeTask) -> None:
        """Adds a large task again after one of its batches, in front of the other large tasks."""
        self._large.appendleft(large)

    def take(self) -> NextBatch:
        """Removes the next batch from the waiting tasks, and returns it.

        The batch has whole small tasks, with at most ``max_work`` units of work, or it is a part of
        one large task. If the same task was delivered twice, the second delivery stays for a later
        batch.
        """
        if self._large and (self._large_next or not (self._urgent or self._low_priority)):
            self._large_next = False
            large = self._large.popleft()
            return NextBatch([large.request], large)
        self._large_next = True
        taken: dict[str, ChunkRequest] = {}
        # Low-priority tasks would make a batch of urgent tasks longer.
        small = self._next_small()
        is_smaller = small is self._low_priority and time.monotonic() < self._urgent_at + RECENT_S
        room = self._max_work // LOW_PRIORITY_DIVISOR if is_smaller else self._max_work
        while small and (small[0].work <= room or not taken) and small[0].id not in taken:
            request = small.popleft()
            taken[request.id] = request
            room -= request.work
        return NextBatch(list(taken.values()))

    def _next_small(self) -> deque[ChunkRequest]:
        if not self._low_priority:
            return self._urgent
        if self._urgent and self._passed_over < MAX_PASSED_OVER:
            self._passed_over += 1
            return self._urgent
        self._passed_over = 0
        return self._low_priority

    def clear(self) -> list[ChunkRequest]:
        """Removes all waiting tasks, and returns their requests."""
        large = (each.request for each in self._large)
        requests = [*self._urgent, *self._low_priority, *large]
        self._urgent, self._low_priority, self._large = deque(), deque(), deque()
        return requests

    @property
    def is_full(self) -> bool:
        """Whether the next batch can start without waiting for further tasks.

        True if the waiting small tasks fill a batch, or if a large task waits.
        """
        largest = max(self.urgent_work, self.low_priority_work)
        return largest >= self._max_work or bool(self._large)

    @property
    def messages(self) -> int:
        """The number of messages in the waiting tasks."""
        small = (*tuple(self._urgent), *tuple(self._low_priority))
        large = sum(each.progress.remaining for each in tuple(self._large))
        return large + sum(request.messages for request in small)

    @property
    def urgent_work(self) -> int:
        """The work of the urgent tasks that are not large, in units of one short message."""
        return sum(request.work for request in tuple(self._urgent))

    @property
    def low_priority_work(self) -> int:
        """The work of low-priority tasks that are not large, in units of one short message."""
        return sum(request.work for request in tuple(self._low_priority))

    @property
    def large_work(self) -> int:
        """The remaining work of tasks too large for one batch, in units of one short message."""
        return sum(each.progress.work for each in tuple(self._large) if self._is_large(each))

    @property
    def solo_work(self) -> int:
        """The remaining work of tasks that fit into a batch, but are computed message by message.

        A task is computed in this way if a worker died while it had the task. The work is in units
        of one short message.
        """
        return sum(each.progress.work for each in tuple(self._large) if not self._is_large(each))

    def _is_large(self, task: LargeTask) -> bool:
        return task.request.work > self._max_work
