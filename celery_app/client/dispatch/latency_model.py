"""The pace of chunks: an estimate of how long the next message will take.

A chunk costs something, and the work of its messages does: on a GPU it is nearly all the chunk, on
a CPU nearly all the work. Which it is, is found from the chunks that have come back, by the least
squares line through their sizes and the times they took, the recent ones weighing most. To go by
work a second alone would be a trap: less let in makes smaller chunks, these less work a second, and
this less let in.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from celery_app.client.dispatch.deadlines import IdleLatency

#: Seconds after which what was measured counts for a third; and the share of its weight that it
#: keeps at least with each chunk, so that a slow model's are remembered as well.
MEMORY_S = 2.0
KEPT = 0.9
#: Mean deviations that a wait may be longer than the line says.
DEVIATIONS = 2.0
#: A chunk counts as no more than so many times what it should have taken, nor less than so many
#: seconds: one that was with a dying worker says little about the next.
OUTLIER, OUTLIER_S = 4.0, 0.1


class LatencyModel:
    """What chunks cost. Times are monotonic, in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        #: Sums over chunks, weighted: 1, size, its square, seconds, size times seconds.
        self._sums = (0.0, 0.0, 0.0, 0.0, 0.0)
        #: By how many seconds a chunk is off the line, as a mean.
        self._deviation = 0.0
        self.idle = IdleLatency()
        #: When a chunk came back last.
        self._last = -math.inf

    def came_back(self, work: int, sent_at: float, alone: bool = False) -> None:
        """Note that a chunk is back. What it took began when the one before it was back.

        ``alone``: was it one message, and is it answered?
        """
        took = self._waited(sent_at)
        if alone and sent_at >= self._last:
            self.idle.note(took)
        self._last = self._now()
        expected = self.seconds(work)
        if self._sums[0]:
            most = max(expected, work * self._sums[3] / self._sums[1])
            took = min(took, max(OUTLIER * most, OUTLIER_S))
        kept = max(KEPT, math.exp(-took / MEMORY_S))
        off = abs(took - expected) if self._sums[0] else 0.0
        self._deviation += (1 - kept) * (off - self._deviation)
        new = (1.0, work, work**2, took, work * took)
        self._sums = tuple(  # type: ignore[assignment]
            kept * old + each for old, each in zip(self._sums, new, strict=True)
        )

    def seconds(self, work: int) -> float:
        """Return how long a chunk of so much work will take; 0 where nothing is known yet."""
        count, sizes, squares, seconds, products = self._sums
        if not count or not work:
            return 0.0
        spread = count * squares - sizes**2
        each = (count * products - sizes * seconds) / spread if spread > 1e-9 * sizes**2 else 0.0
        each = min(max(each, 0.0), seconds / sizes)  # nothing costs less than nothing
        return (seconds - each * sizes) / count + each * work

    def until_back(self, work: int, sent_at: float) -> float:
        """Return the seconds until a chunk of so much, the next to come back, is back."""
        return max(0.0, self.seconds(work) - self._waited(sent_at))

    def margin(self, chunks: int) -> float:
        """Return by how many seconds so many chunks may well take longer than expected."""
        return DEVIATIONS * self._deviation * math.sqrt(chunks)

    def _waited(self, sent_at: float) -> float:
        return self._now() - max(sent_at, self._last)
