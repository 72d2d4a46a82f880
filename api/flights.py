"""The chunks that were sent and are not answered: each holds one of a few credits, for a while."""

from __future__ import annotations

import time
from collections.abc import Iterator

from api.entry import Entry

#: Seconds after which a chunk that is not answered holds no credit any more: its worker may be
#: dead, and the living must not wait for it.
STALLED_S = 2.0


class Flights:
    """Chunks under way, by id, oldest first. Times are monotonic, in seconds."""

    def __init__(self, credits: int, answer_s: float) -> None:
        """Chunks unanswered for ``answer_s`` seconds are given up."""
        self._credits = credits
        self._answer_s = answer_s
        self._flights: dict[str, tuple[float, list[Entry]]] = {}

    def __bool__(self) -> bool:
        return bool(self._flights)

    def add(self, chunk: str, entries: list[Entry]) -> None:
        """Note that a chunk is about to be sent: its reply may be here before it is."""
        self._flights[chunk] = (time.monotonic(), entries)

    def pop(self, chunk: str) -> list[Entry]:
        """Forget a chunk and return its entries; none: it was given up before."""
        return self._flights.pop(chunk, (0.0, []))[1]

    @property
    def free_credits(self) -> int:
        """How many more chunks may leave now."""
        return max(0, self._credits - len(self._in_time()))

    @property
    def sizes(self) -> list[int]:
        """How many messages each chunk holds that has a credit."""
        return [len(entries) for _, entries in self._in_time()]

    @property
    def last_sent_at(self) -> float | None:
        """When the last chunk was sent that holds a credit; None: none does."""
        return max((sent_at for sent_at, _ in self._in_time()), default=None)

    def given_up(self) -> Iterator[list[Entry]]:
        """Yield what was sent too long ago, chunk by chunk, and forget it."""
        oldest = time.monotonic() - self._answer_s
        for chunk, (sent_at, entries) in list(self._flights.items()):
            if sent_at > oldest:
                return
            del self._flights[chunk]
            yield entries

    def _in_time(self) -> list[tuple[float, list[Entry]]]:
        stalled = time.monotonic() - STALLED_S
        return [flight for flight in self._flights.values() if flight[0] > stalled]
