"""The chunks in flight: tasks that were sent to the workers and have no reply yet.

A credit is a permit to have one chunk in flight, for one model version. A chunk holds its credit
until its reply comes, or until the chunk has stalled.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from celery_app.client.dispatch.latency_model import LatencyModel
from celery_app.client.entry import Entry

#: A chunk without a reply loses its credit after this many times the expected time. Its worker may
#: be dead, and messages for other workers must not wait for this worker.
STALLED_FACTOR = 4.0
#: Shortest time that a chunk holds its credit, in seconds.
STALLED_MIN_S = 0.25
#: Seconds that a chunk holds its credit while the expected time is not known.
UNKNOWN_S = 2.0


class InFlightChunk(NamedTuple):
    """A chunk (the messages of one Celery task) that was sent and has no reply yet."""

    #: Monotonic time at which the chunk was sent, in seconds.
    sent_at: float
    entries: list[Entry]
    #: Work of all messages of the chunk, in units of :mod:`tasks.work`.
    work: int


class InFlight:
    """Keeps the chunks in flight for one model version, in the order in which they were sent."""

    def __init__(self, answer_s: float, latency_model: LatencyModel, chunk_work: int) -> None:
        """A chunk that has no reply after ``answer_s`` seconds is given up.

        ``chunk_work`` is the largest work of a chunk of several messages. Its unit is one short
        message (:mod:`tasks.work`). A chunk counts as stalled if it has no reply after several
        times the expected time of this work.
        """
        self._answer_s = answer_s
        self._latency_model = latency_model
        self._chunk_work = chunk_work
        self._in_flight: dict[str, InFlightChunk] = {}
        #: How often a chunk was added or removed.
        self.changes = 0

    def add(self, chunk_id: str, entries: list[Entry]) -> None:
        """Adds a chunk. Call this before the chunk is sent, since the reply may come at once."""
        work = sum([entry.work for entry in entries])
        self._in_flight[chunk_id] = InFlightChunk(time.monotonic(), entries, work)
        self.changes += 1

    def pop(self, chunk_id: str) -> InFlightChunk | None:
        """Removes a chunk and returns it; None if the chunk was given up before."""
        self.changes += 1
        return self._in_flight.pop(chunk_id, None)

    def __len__(self) -> int:
        return len(self._in_flight)

    def __contains__(self, chunk_id: str) -> bool:
        return chunk_id in self._in_flight

    @property
    def with_credit(self) -> list[InFlightChunk]:
        """The chunks that hold a credit (a permit to be in flight).

        A stalled chunk, whose reply is overdue, holds no credit. Urgent messages, whose callers
        stop waiting, may be sent in a chunk that never has a credit.
        """
        expected_s = self._latency_model.seconds(self._chunk_work)
        hold_s = max(STALLED_MIN_S, STALLED_FACTOR * expected_s) if expected_s else UNKNOWN_S
        stalled = time.monotonic() - hold_s
        return [
            chunk
            for chunk in self._in_flight.values()
            # Other chunks must not wait for a chunk that was sent without a free credit.
            if chunk.sent_at > stalled and not chunk.entries[0].without_credit
        ]

    def given_up(self) -> Iterator[list[Entry]]:
        """Removes chunks that have waited too long for a reply. Yields each chunk's messages."""
        oldest = time.monotonic() - self._answer_s
        for chunk_id, chunk in list(self._in_flight.items()):
            if chunk.sent_at > oldest:
                return
            self.pop(chunk_id)
            yield chunk.entries
