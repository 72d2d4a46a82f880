"""Tasks that wait in a worker for the model, and which of them the next batch is made of."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tasks.batch import InFlightBatch
from tasks.chunk_request import ChunkRequest
from tasks.progress import Progress

#: Work of large tasks after which a worker takes no more tasks: others may take them.
LARGE_HELD = 100_000
#: Batches that may go before one of tasks that are behind.
PASSED_OVER = 8
#: For so many seconds after a pressing task came, batches of those behind are of a fourth of the
#: largest: the next pressing task has to wait for one of them.
RECENT_S, PARTS = 1.0, 4


@dataclass(slots=True, eq=False)
class LargeTask:
    """A task that the model computes in passes, a batch of other tasks between two of them.

    It is more work than a batch may be, or a worker died with it and its messages are tried alone.
    """

    request: ChunkRequest
    progress: Progress
    #: Monotonic time of the first pass, in seconds; 0: there was none yet.
    started: float = 0.0
    #: Could what the passes computed be stored?
    stored: bool = True


class Taken(NamedTuple):
    """Requests for the next batch; with ``large``, that one's alone."""

    requests: list[ChunkRequest]
    large: LargeTask | None = None


class Batch(NamedTuple):
    """Requests that the device computes."""

    #: As taken, and those of them that were not revoked.
    requests: Sequence[ChunkRequest]
    live: Sequence[ChunkRequest]
    in_flight: InFlightBatch
    #: Monotonic time, in seconds.
    started: float
    #: The task of which this is a pass.
    large: LargeTask | None

    @property
    def complete(self) -> bool:
        """Whether the requests have all of their answers, once the batch is finished."""
        return self.large is None or not self.live or self.large.progress.complete


class Waiting:
    """Holds the tasks. Small ones share a batch; large ones take turns with these batches.

    A batch of pressing tasks holds none that are behind: those would make it longer.
    """

    def __init__(self, limit: int) -> None:
        """``limit`` is the largest batch, in messages' worth: see :mod:`tasks.work`."""
        self._limit = limit
        self._pressing: deque[ChunkRequest] = deque()
        self._behind: deque[ChunkRequest] = deque()
        #: Batches that have gone before those.
        self._passed_over = 0
        #: When a pressing task came last, monotonic, in seconds.
        self._pressed_at = -RECENT_S
        self._large: deque[LargeTask] = deque()
        #: Was the last batch one of small tasks?
        self._large_next = False

    def __bool__(self) -> bool:
        return bool(self._pressing or self._behind or self._large)

    def add(self, request: ChunkRequest) -> None:
        """Add a task behind the others."""
        if request.chunk is not None and (request.orphaned or request.work > self._limit):
            self._large.append(LargeTask(request, Progress(request.chunk)))
        elif request.behind:
            self._behind.append(request)
        else:
            self._pressing.append(request)
            self._pressed_at = time.monotonic()

    def add_rest(self, large: LargeTask) -> None:
        """Add what a pass has left of a large task: it goes before the other large ones."""
        self._large.appendleft(large)

    def take(self) -> Taken:
        """Take the tasks of the next batch: as many small ones as fit, or one large task.

        A task that is here twice, delivered again meanwhile, is not twice in one batch.
        """
        if self._large and (self._large_next or not (self._pressing or self._behind)):
            self._large_next = False
            large = self._large.popleft()
            return Taken([large.request], large)
        self._large_next = True
        taken: dict[str, ChunkRequest] = {}
        small = self._next_small()
        recent = time.monotonic() < self._pressed_at + RECENT_S
        room = self._limit // PARTS if small is self._behind and recent else self._limit
        while small and (small[0].work <= room or not taken) and small[0].id not in taken:
            request = small.popleft()
            taken[request.id] = request
            room -= request.work
        return Taken(list(taken.values()))

    def _next_small(self) -> deque[ChunkRequest]:
        if not self._behind:
            return self._pressing
        if self._pressing and self._passed_over < PASSED_OVER:
            self._passed_over += 1
            return self._pressing
        self._passed_over = 0
        return self._behind

    def clear(self) -> list[ChunkRequest]:
        """Take all."""
        large = (each.request for each in self._large)
        requests = [*self._pressing, *self._behind, *large]
        self._pressing, self._behind, self._large = deque(), deque(), deque()
        return requests

    @property
    def is_full(self) -> bool:
        """Whether the next batch needs no more tasks to be as large as it may be."""
        return max(self.pressing, self.behind) >= self._limit or bool(self._large)

    @property
    def messages(self) -> int:
        """How many messages wait. Any thread may ask."""
        small = (*tuple(self._pressing), *tuple(self._behind))
        large = sum(each.progress.remaining for each in tuple(self._large))
        return large + sum(request.messages for request in small)

    @property
    def pressing(self) -> int:
        """How much work waits in small tasks that are not behind. Any thread may ask."""
        return sum(request.work for request in tuple(self._pressing))

    @property
    def behind(self) -> int:
        """How much work waits in small tasks that others go before. Any thread may ask."""
        return sum(request.work for request in tuple(self._behind))

    @property
    def large(self) -> int:
        """How much work waits in tasks larger than a batch. Any thread may ask."""
        return sum(each.progress.work for each in tuple(self._large) if self._is_large(each))

    @property
    def alone(self) -> int:
        """How much work of other tasks waits to be tried alone. Any thread may ask."""
        return sum(each.progress.work for each in tuple(self._large) if not self._is_large(each))

    def _is_large(self, task: LargeTask) -> bool:
        return task.request.work > self._limit
