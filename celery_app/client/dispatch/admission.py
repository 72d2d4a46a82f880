"""Admission refuses at once a message that would be answered after its deadline."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from celery_app.client.dispatch.fair_queue import FairQueue
from celery_app.client.dispatch.in_flight import InFlight
from celery_app.client.dispatch.latency_model import LatencyModel
from celery_app.client.entry import Entry, Kind

#: Seconds for which what is under way is not looked through again, unless something left or came.
FRESH_S = 0.001


class InFlightSnapshot(NamedTuple):
    """What is under way, as one looked at it."""

    changes: int
    #: Monotonic, in seconds.
    at: float
    chunks: int
    #: Until the last of them is back.
    seconds: float


class Admission:
    """Judges by what is under way, what waits, and the pace of both."""

    def __init__(
        self,
        latency_model: LatencyModel,
        in_flight: InFlight,
        waiting: Mapping[Kind, FairQueue],
        chunk_work: int,
    ) -> None:
        """``waiting`` is what has not left yet; it may change."""
        self._latency_model = latency_model
        self._in_flight = in_flight
        self._waiting = waiting
        self._chunk_work = chunk_work
        self._snapshot = InFlightSnapshot(-1, 0.0, 0, 0.0)

    @property
    def wait_s(self) -> float:
        """Seconds that a message that comes now would take."""
        return sum(self._answered(sum(queue.work for queue in self._waiting.values()) + 1))

    def too_late(self, entry: Entry) -> bool:
        """Return whether a message would not be answered by its deadline, which is still to come.

        Or whether one that is still in time would not be any more, leaving with it.
        With nothing before it, it is tried: or one slow batch would be the last.
        """
        now, deadline = time.time(), entry.deadline
        if deadline is None or now > deadline:
            return False
        ahead = sum(queue.work for kind, queue in self._waiting.items() if kind < entry.kind)
        fellows, beside = self._waiting.get(entry.kind), 0
        if fellows:
            beside = fellows.ahead_of(entry)
        ahead += beside
        if not ahead and not self._look().chunks:
            return False
        latest = now + sum(self._answered(ahead + entry.work))
        if deadline < latest:
            return True
        together = beside % self._chunk_work
        if not fellows or not together:
            return False
        # One for whom it is close is still in time: estimates waver by more than a message takes,
        # and once it counted as lost, all who come would be let in beside it, and be late with it.
        in_time = now + self._answered(ahead)[0]
        return any(
            in_time <= fellow.deadline < latest
            for fellow in fellows.last(together)
            if fellow.deadline is not None
        )

    def _answered(self, work: int) -> tuple[float, float]:
        """Return the seconds until so much of the work that waits is done.

        And how many more it may well take.
        """
        snapshot, latency_model = self._look(), self._latency_model
        full, rest = divmod(work - 1, self._chunk_work)
        then = full * latency_model.seconds(self._chunk_work) + latency_model.seconds(rest + 1)
        return snapshot.seconds + then, latency_model.margin(snapshot.chunks + full + 1)

    def _look(self) -> InFlightSnapshot:
        now, seen = time.monotonic(), self._snapshot
        if seen.changes != self._in_flight.changes or now > seen.at + FRESH_S:
            in_flight, latency_model = self._in_flight.in_time, self._latency_model
            seconds = sum(
                latency_model.seconds(chunk_in_flight.work) for chunk_in_flight in in_flight[1:]
            )
            if in_flight:
                seconds += latency_model.until_back(in_flight[0].work, in_flight[0].sent_at)
            self._snapshot = InFlightSnapshot(self._in_flight.changes, now, len(in_flight), seconds)
        return self._snapshot
