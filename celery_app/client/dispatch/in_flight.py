"""The chunks that were sent and are not answered: each holds one of a few credits, for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from celery_app.client.entry import Entry

#: A chunk that is not answered after so many times what it should take, and so many seconds at the
#: least, holds no credit any more: its worker may be dead, and the living must not wait for it.
STALLED, STALLED_S = 4.0, 0.25
#: The same where nothing is known of what it should take.
UNKNOWN_S = 2.0


class InFlightChunk(NamedTuple):
    """A chunk under way."""

    #: Monotonic, in seconds.
    sent_at: float
    entries: list[Entry]
    #: Of all its messages.
    work: int


class InFlight:
    """Chunks under way, by id, oldest first."""

    def __init__(self, answer_s: float, expected_s: Callable[[], float]) -> None:
        """Chunks unanswered for ``answer_s`` seconds are given up.

        ``expected_s()`` is what the largest should take; 0: nobody knows.
        """
        self._expected_s = expected_s
        self._answer_s = answer_s
        self._in_flight: dict[str, InFlightChunk] = {}
        #: How often a chunk was added or taken away.
        self.changes = 0

    def add(self, chunk: str, entries: list[Entry]) -> None:
        """Note that a chunk is about to be sent: its reply may be here before it is."""
        work = sum([entry.work for entry in entries])
        self._in_flight[chunk] = InFlightChunk(time.monotonic(), entries, work)
        self.changes += 1

    def pop(self, chunk: str) -> InFlightChunk | None:
        """Forget a chunk and return it; None: it was given up before."""
        self.changes += 1
        return self._in_flight.pop(chunk, None)

    def __len__(self) -> int:
        return len(self._in_flight)

    def __contains__(self, chunk: str) -> bool:
        return chunk in self._in_flight

    @property
    def in_time(self) -> list[InFlightChunk]:
        """Those that hold a credit.

        What was promised and left without one holds none: others would wait for it.
        """
        expected_s = self._expected_s()
        patience_s = max(STALLED_S, STALLED * expected_s) if expected_s else UNKNOWN_S
        stalled = time.monotonic() - patience_s
        return [
            chunk_in_flight
            for chunk_in_flight in self._in_flight.values()
            if chunk_in_flight.sent_at > stalled and not chunk_in_flight.entries[0].behind
        ]

    def given_up(self) -> Iterator[list[Entry]]:
        """Yield what was sent too long ago, chunk by chunk, and forget it."""
        oldest = time.monotonic() - self._answer_s
        for chunk, chunk_in_flight in list(self._in_flight.items()):
            if chunk_in_flight.sent_at > oldest:
                return
            self.pop(chunk)
            yield chunk_in_flight.entries
