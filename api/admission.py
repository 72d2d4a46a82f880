"""Who is let in: a message that would be answered too late is refused at once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from api.entry import Entry, Kind
from api.flights import Flights
from api.pace import Pace

#: Seconds for which what is under way is not looked through again, unless something left or came.
FRESH_S = 0.001


class Away(NamedTuple):
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
        self._away = Away(-1, 0.0, 0, 0.0)

    @property
    def wait_s(self) -> float:
        """Seconds that a message that comes now would take."""
        return sum(self._answered(sum(map(len, self._waiting.values()))))

    def too_late(self, entry: Entry) -> bool:
        """Return whether a message would not be answered by its deadline, which is still to come.

        Or whether one that is still in time would not be any more, leaving with it.
        With nothing before it, it is tried: or one slow batch would be the last.
        """
        now, deadline = time.time(), entry.deadline
        if deadline is None or now > deadline:
            return False
        ahead = sum(len(kept) for kind, kept in self._waiting.items() if kind <= entry.kind)
        if not ahead and not self._look().chunks:
            return False
        latest = now + sum(self._answered(ahead))
        if deadline < latest:
            return True
        fellows = self._waiting.get(entry.kind, ())
        together = len(fellows) % self._chunk_messages
        if not together:
            return False
        # One for whom it is close is still in time: estimates waver by more than a message takes,
        # and once it counted as lost, all who come would be let in beside it, and be late with it.
        in_time = now + self._answered(ahead - 1)[0]
        return any(
            in_time <= fellow.deadline < latest
            for fellow in fellows[-together:]
            if fellow.deadline is not None
        )

    def _answered(self, ahead: int) -> tuple[float, float]:
        """Return the seconds until a message is answered before which so many wait.

        And how many more it may well take.
        """
        away, pace = self._look(), self._pace
        full, rest = divmod(ahead, self._chunk_messages)
        then = full * pace.seconds(self._chunk_messages) + pace.seconds(rest + 1)
        return away.seconds + then, pace.margin(away.chunks + full + 1)

    def _look(self) -> Away:
        now, seen = time.monotonic(), self._away
        if seen.changes != self._flights.changes or now > seen.at + FRESH_S:
            flights, pace = self._flights.in_time, self._pace
            seconds = sum(pace.seconds(len(flight.entries)) for flight in flights[1:])
            if flights:
                seconds += pace.until_back(len(flights[0].entries), flights[0].sent_at)
            self._away = Away(self._flights.changes, now, len(flights), seconds)
        return self._away
