"""Who is let in: a message that would be answered too late is refused at once."""

from __future__ import annotations

import time
from collections.abc import Mapping

from api.entry import Entry, Kind
from api.flights import Flights
from api.pace import Pace


class Admission:
    """Judges by what is under way, what waits, and the pace of both."""

    def __init__(
        self,
        pace: Pace,
        flights: Flights,
        waiting: Mapping[Kind, list[Entry]],
        chunk_messages: int,
    ) -> None:
        """``waiting`` is what has not left yet; it may change."""
        self._pace = pace
        self._flights = flights
        self._waiting = waiting
        self._chunk_messages = chunk_messages

    @property
    def wait_s(self) -> float:
        """Seconds that a message that comes now would take."""
        return self._seconds(sum(map(len, self._waiting.values())))

    def too_late(self, entry: Entry) -> bool:
        """Return whether a message would not be answered by its deadline, which is still to come.

        Or whether, leaving with it, the one that waits longest in its chunk would not any more.
        With nothing before it, it is tried: or one slow batch would be the last.
        """
        now, deadline = time.time(), entry.deadline
        ahead = sum(len(kept) for kind, kept in self._waiting.items() if kind <= entry.kind)
        if deadline is None or now > deadline or not (ahead or self._flights):
            return False
        fellows = self._waiting.get(entry.kind, ())
        together = len(fellows) % self._chunk_messages
        first = fellows[-together].deadline if together else None
        if first is not None and now + self._seconds(ahead - 1) < first:
            deadline = min(deadline, first)
        return deadline < now + self._seconds(ahead)

    def _seconds(self, ahead: int) -> float:
        return self._pace.until_answered(self._flights.sizes, ahead, self._chunk_messages)
