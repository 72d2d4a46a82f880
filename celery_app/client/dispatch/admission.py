"""Estimates when a new message would be answered, and whether that is after its deadline.

The dispatcher refuses a message at once if the message would miss its deadline.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from celery_app.client.dispatch.fair_queue import FairQueue
from celery_app.client.dispatch.in_flight import InFlight
from celery_app.client.dispatch.latency_model import LatencyModel
from celery_app.client.entry import Entry, Kind

#: Seconds for which a snapshot of the chunks in flight stays valid. When a chunk is sent or comes
#: back, the snapshot becomes invalid at once.
FRESH_S = 0.001


class InFlightSnapshot(NamedTuple):
    """The number of chunks with a credit at one moment, and when their replies are expected.

    A chunk is the messages of one Celery task. A credit is a permit to have one chunk in flight,
    which means: sent, and without a reply.
    """

    #: ``InFlight.changes`` at that moment.
    changes: int
    #: Monotonic time of the snapshot, in seconds.
    at: float
    chunks: int
    #: Seconds until the last of the chunks is expected back.
    seconds: float


class Admission:
    """Estimates when a new message is answered, given the chunks in flight and waiting messages."""

    def __init__(
        self,
        latency_model: LatencyModel,
        in_flight: InFlight,
        waiting: Mapping[Kind, FairQueue],
        chunk_work: int,
    ) -> None:
        """``waiting`` maps each kind of messages to the queue of its unsent messages.

        Messages of one kind have the same priority and options (``Entry.kind``). The caller can add
        and remove queues between two calls. ``chunk_work`` limits the work of a chunk of several
        messages. The unit of work is one short message (:mod:`tasks.work`).
        """
        self._latency_model = latency_model
        self._in_flight = in_flight
        self._waiting = waiting
        self._chunk_work = chunk_work
        self._snapshot = InFlightSnapshot(-1, 0.0, 0, 0.0)

    @property
    def wait_s(self) -> float:
        """The expected seconds until a new message is answered, with a safety margin."""
        return sum(self._time_until_done(sum(queue.work for queue in self._waiting.values()) + 1))

    def too_late(self, entry: Entry) -> bool:
        """Returns whether to refuse a message because of a deadline.

        True if the message would miss its own deadline, or would make another message of its chunk
        late. Always False if the message has no deadline, or if no other message is ahead. Also
        False if the deadline has passed already: then the version queue drops the message.
        """
        now, deadline = time.time(), entry.deadline
        # The version queue drops a message whose deadline has passed.
        if deadline is None or now > deadline:
            return False
        work_ahead = sum(queue.work for kind, queue in self._waiting.items() if kind < entry.kind)
        same_kind, same_kind_ahead = self._waiting.get(entry.kind), 0
        if same_kind:
            same_kind_ahead = same_kind.ahead_of(entry)
        work_ahead += same_kind_ahead
        # Without this exception, one slow batch could raise the estimate above every deadline. Then
        # every message would be refused, even if nothing else waits. The estimate would stay too
        # high, because only a new answer lowers the estimate.
        if not work_ahead and not self._current_snapshot().chunks:
            return False
        latest = now + sum(self._time_until_done(work_ahead + entry.work))
        if deadline < latest:
            return True
        work_in_chunk = same_kind_ahead % self._chunk_work
        if not same_kind or not work_in_chunk:
            return False
        # A message whose deadline is close still counts as in time, because estimates vary by more
        # than the time of one message. If this message counted as lost, every new message would be
        # accepted into its chunk, and all messages of the chunk would be late.
        in_time = now + self._time_until_done(work_ahead)[0]
        return any(
            in_time <= other.deadline < latest
            for other in same_kind.newest(work_in_chunk)
            if other.deadline is not None
        )

    def _time_until_done(self, work: int) -> tuple[float, float]:
        """Returns two numbers of seconds: the time until waiting work is done, and a safety margin.

        ``work`` is the amount of waiting work. Its unit is one short message (:mod:`tasks.work`).
        The first number includes the time that the chunks in flight still take.
        """
        snapshot, latency_model = self._current_snapshot(), self._latency_model
        full, rest = divmod(work - 1, self._chunk_work)
        then = full * latency_model.seconds(self._chunk_work) + latency_model.seconds(rest + 1)
        return snapshot.seconds + then, latency_model.margin(snapshot.chunks + full + 1)

    def _current_snapshot(self) -> InFlightSnapshot:
        now, seen = time.monotonic(), self._snapshot
        if seen.changes != self._in_flight.changes or now > seen.at + FRESH_S:
            chunks, latency_model = self._in_flight.with_credit, self._latency_model
            seconds = sum(latency_model.seconds(chunk.work) for chunk in chunks[1:])
            if chunks:
                seconds += latency_model.until_back(chunks[0].work, chunks[0].sent_at)
            self._snapshot = InFlightSnapshot(self._in_flight.changes, now, len(chunks), seconds)
        return self._snapshot
