"""The messages for one model version: waiting messages, messages in flight, and their latency.

Each version has workers and latencies of its own. So a slow canary (a version on trial) does not
delay other versions.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from celery_app.client.dispatch.admission import Admission
from celery_app.client.dispatch.deadlines import too_short
from celery_app.client.dispatch.fair_queue import FairQueue
from celery_app.client.dispatch.flush_policy import FlushPolicy
from celery_app.client.dispatch.in_flight import InFlight
from celery_app.client.dispatch.latency_model import LatencyModel
from celery_app.client.dispatch.limits import DispatchLimits
from celery_app.client.entry import Entry, Kind
from celery_app.client.redis.model_registry import ModelRegistry
from tasks.errors import BylineError, Overloaded

#: Largest number of chunks that are sent in a row while messages of another kind, with the same
#: priority, wait.
PASSED_OVER = 3
#: A chunk without a credit has at most the work of the largest chunk, divided by this number. Such
#: a chunk is small, because the next chunk that a caller waits for may be queued behind it.
NO_CREDIT_DIVISOR = 4


class VersionQueue:
    """The messages of this process for one model version, until they have their outcomes."""

    def __init__(
        self,
        version: str,
        limits: DispatchLimits,
        model_registry: ModelRegistry,
        wake: asyncio.Event,
    ) -> None:
        """The event ``wake`` wakes the dispatcher, which then calls :meth:`next_chunk` again."""
        self._chunk_work = limits.chunk_work
        self._waiting: dict[Kind, FairQueue] = {}
        #: For each waiting kind, how many chunks of other kinds, of equal priority, went first.
        self._passed_over: Counter[Kind] = Counter()
        self.latency_model = LatencyModel()
        self.in_flight = InFlight(limits.answer_s, self.latency_model, limits.chunk_work)
        self.admission = Admission(
            self.latency_model, self.in_flight, self._waiting, limits.chunk_work
        )
        self._flush_policy = FlushPolicy(
            self.in_flight, self.latency_model, limits, model_registry, version, wake
        )

    @property
    def waits(self) -> bool:
        """Whether any message waits to be sent."""
        return bool(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether no message waits to be sent, and no message is in flight."""
        return not self._waiting and not self.in_flight

    def add(self, entry: Entry) -> None:
        """Adds a message to the messages that wait to be sent."""
        kind = entry.kind
        queue = self._waiting.get(kind)
        if queue is None:
            queue = self._waiting[kind] = FairQueue()
        queue.add(entry)

    def refusal(self, entry: Entry) -> BylineError | None:
        """Returns the error of a message that must be refused; None if the message can be added.

        A message is refused if it would miss its deadline, or would make another message late.
        """
        if not self.admission.too_late(entry):
            return None
        overloaded = Overloaded(f"an answer would take {self.admission.wait_s:.1f} s")
        return too_short(entry, self.latency_model.idle) or overloaded

    def drop_late(self) -> list[Entry]:
        """Removes the waiting messages whose deadline has passed, and returns them."""
        now, dropped = time.time(), []
        for kind, queue in list(self._waiting.items()):
            dropped += queue.drop_late(now)
            self._keep(kind, queue)
        return dropped

    def next_chunk(self) -> list[Entry]:
        """Removes the messages of the next chunk from the queue, and returns them as a list.

        The list is empty if there is nothing to send now. All messages of a chunk are of one kind:
        they have the same priority and options (``Entry.kind``).
        """
        for kind in sorted(self._waiting, key=self._turn):
            queue = self._waiting[kind]
            due = self._flush_policy.due(queue.work)
            chunk = (
                queue.take(self._chunk_work)
                if due
                else queue.take_urgent(max(1, self._chunk_work // NO_CREDIT_DIVISOR))
            )
            self._keep(kind, queue)
            if due:
                self._pass_over(kind)
            for entry in chunk:
                entry.without_credit = not due
            if chunk:
                return chunk
        return []

    def _turn(self, kind: Kind) -> tuple[int, bool, Kind]:
        """Returns the sort key of a kind of messages. The kind with the smallest key is sent first.

        Messages of one kind have the same priority and options. The most urgent priority comes
        first. Within a priority, a kind comes first if :data:`PASSED_OVER` chunks of other kinds
        were sent since its last chunk. Kinds without evidence come next.
        """
        return kind[0], self._passed_over[kind] < PASSED_OVER, kind

    def _pass_over(self, leaving: Kind) -> None:
        del self._passed_over[leaving]
        self._passed_over.update(kind for kind in self._waiting if kind[0] == leaving[0])

    def _keep(self, kind: Kind, queue: FairQueue) -> None:
        if not queue:
            del self._waiting[kind]
