"""The messages for one model version: what waits, what is under way, and how fast it comes back.

Each version has its own workers and its own pace, so a slow canary holds up nobody else.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from api.admission import Admission
from api.departure import Departure
from api.entry import Entry, Kind
from api.flights import Flights
from api.pace import Pace


class Lane:
    """What one version is asked by this process."""

    def __init__(
        self,
        credits: int,
        chunk_messages: int,
        answer_s: float,
        workers: Callable[[], int],
        wake: Callable[[], None],
    ) -> None:
        """Chunks unanswered for ``answer_s`` seconds are given up.

        ``workers()`` is how many workers there are; ``wake()`` has :meth:`next_chunk` asked again.
        """
        self._chunk_messages = chunk_messages
        self._waiting: dict[Kind, list[Entry]] = {}
        self.pace = Pace()
        self.flights = Flights(answer_s, lambda: self.pace.seconds(chunk_messages))
        self.admission = Admission(self.pace, self.flights, self._waiting, chunk_messages)
        self._departure = Departure(self.flights, self.pace, credits, workers, wake)

    @property
    def waits(self) -> bool:
        """Whether anything waits to leave."""
        return bool(self._waiting)

    @property
    def messages(self) -> int:
        """How many messages wait or are under way."""
        return sum(map(len, self._waiting.values())) + self.flights.messages

    @property
    def idle(self) -> bool:
        """Whether nothing waits, and nothing is under way."""
        return not self._waiting and not self.flights

    def add(self, entry: Entry) -> None:
        """Have a message wait."""
        self._waiting.setdefault(entry.kind, []).append(entry)

    def drop_late(self) -> list[Entry]:
        """Return those that are too late by now; they wait no longer."""
        now, dropped = time.time(), []
        for kind, waiting in list(self._waiting.items()):
            late = [e for e in waiting if e.deadline is not None and e.deadline < now]
            if late:
                dropped += late
                self._keep(kind, [e for e in waiting if e.deadline is None or e.deadline >= now])
        return dropped

    def next_chunk(self) -> list[Entry]:
        """Return what may leave now, the most pressing kind first."""
        for kind in sorted(self._waiting):
            waiting = self._waiting[kind]
            if self._departure.due(len(waiting)):
                chunk = waiting[: self._chunk_messages]
                self._keep(kind, waiting[self._chunk_messages :])
            else:
                chunk = [entry for entry in waiting if entry.urgent][: self._chunk_messages]
                if not chunk:
                    continue
                leaving = {id(entry) for entry in chunk}
                self._keep(kind, [entry for entry in waiting if id(entry) not in leaving])
            return chunk
        return []

    def _keep(self, kind: Kind, waiting: list[Entry]) -> None:
        if waiting:
            self._waiting[kind] = waiting
        else:
            del self._waiting[kind]
