"""The messages for one model version: what waits, what is under way, and how fast it comes back.

Each version has its own workers and its own pace, so a slow canary holds up nobody else.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from celery_app.client.dispatch.admission import Admission
from celery_app.client.dispatch.fair_queue import FairQueue
from celery_app.client.dispatch.flush_policy import FlushPolicy
from celery_app.client.dispatch.in_flight import InFlight
from celery_app.client.dispatch.latency_model import LatencyModel
from celery_app.client.entry import Entry, Kind

#: Chunks of the same priority that may leave before those of a kind that waits.
PASSED_OVER = 3
#: Chunks that leave without a credit are of a fourth of the largest: the next chunk that somebody
#: waits for may have to wait for one of them.
PARTS = 4


class VersionQueue:
    """What one version is asked by this process."""

    def __init__(
        self,
        credits: int,
        chunk_work: int,
        answer_s: float,
        workers: Callable[[], int],
        wake: Callable[[], None],
    ) -> None:
        """Chunks are of so much work at most, and given up after ``answer_s`` seconds.

        ``workers()`` is how many workers there are; ``wake()`` has :meth:`next_chunk` asked again.
        """
        self._chunk_work = chunk_work
        self._waiting: dict[Kind, FairQueue] = {}
        #: How many chunks have left before a kind that waits.
        self._passed_over: Counter[Kind] = Counter()
        self.latency_model = LatencyModel()
        self.in_flight = InFlight(answer_s, lambda: self.latency_model.seconds(chunk_work))
        self.admission = Admission(self.latency_model, self.in_flight, self._waiting, chunk_work)
        self._flush_policy = FlushPolicy(self.in_flight, self.latency_model, credits, workers, wake)

    @property
    def waits(self) -> bool:
        """Whether anything waits to leave."""
        return bool(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether nothing waits, and nothing is under way."""
        return not self._waiting and not self.in_flight

    def add(self, entry: Entry) -> None:
        """Have a message wait."""
        kind = entry.kind
        queue = self._waiting.get(kind)
        if queue is None:
            queue = self._waiting[kind] = FairQueue()
        queue.add(entry)

    def drop_late(self) -> list[Entry]:
        """Return those that are too late by now; they wait no longer."""
        now, dropped = time.time(), []
        for kind, queue in list(self._waiting.items()):
            dropped += queue.drop_late(now)
            self._keep(kind, queue)
        return dropped

    def next_chunk(self) -> list[Entry]:
        """Return what may leave now, the most pressing kind first."""
        for kind in sorted(self._waiting, key=self._turn):
            queue = self._waiting[kind]
            due = self._flush_policy.due(queue.work)
            chunk = (
                queue.take(self._chunk_work)
                if due
                else queue.take_urgent(max(1, self._chunk_work // PARTS))
            )
            self._keep(kind, queue)
            if due:
                self._pass_over(kind)
            for entry in chunk:
                entry.behind = not due
            if chunk:
                return chunk
        return []

    def _turn(self, kind: Kind) -> tuple[int, bool, Kind]:
        """Return by what kinds are sorted: those without evidence first, but not for ever."""
        return kind[0], self._passed_over[kind] < PASSED_OVER, kind

    def _pass_over(self, leaving: Kind) -> None:
        del self._passed_over[leaving]
        self._passed_over.update(kind for kind in self._waiting if kind[0] == leaving[0])

    def _keep(self, kind: Kind, queue: FairQueue) -> None:
        if not queue:
            del self._waiting[kind]
