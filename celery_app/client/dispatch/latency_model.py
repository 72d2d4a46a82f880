"""Estimates how long the next chunk will take, from the times that past chunks took.

A chunk has a fixed cost, and a cost that grows with the number and length of its messages. Weighted
least squares finds both costs. Recent chunks have the largest weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from celery_app.client.dispatch.deadlines import IdleLatency

#: Seconds after which a measurement keeps about a third of its weight.
MEMORY_S = 2.0
#: Smallest share of its weight that a measurement keeps when the next chunk comes back. Without
#: this limit, one chunk of a slow model would outweigh all earlier chunks.
MIN_KEPT = 0.9
#: Safety margin of an estimate, in mean deviations of a chunk from the fitted line.
DEVIATIONS = 2.0
#: A chunk's time counts as at most this many times the expected time. If a worker died with a
#: chunk, the chunk's time says little about the next chunk.
OUTLIER_FACTOR = 4.0
#: A chunk's time of up to this many seconds counts in full, even if it is far above the expected
#: time.
OUTLIER_MIN_S = 0.1


class LatencyModel:
    """Estimates how long chunks for one model version take. Times are monotonic, in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        #: Weighted sums over chunks of: 1, size, size squared, seconds, size times seconds.
        self._sums = (0.0, 0.0, 0.0, 0.0, 0.0)
        #: Mean distance of a chunk from the fitted line, in seconds.
        self._deviation = 0.0
        self.idle = IdleLatency()
        #: When the last chunk came back.
        self._last = -math.inf

    def came_back(self, work: int, sent_at: float, alone: bool = False) -> None:
        """Records the time that a chunk took. Call this method as soon as the chunk's reply comes.

        The time starts at ``sent_at``, or at the previous reply if that reply came later. ``alone``
        is True if the chunk had only one message, and the message got an attribution.
        """
        took = self._waited(sent_at)
        if alone and sent_at >= self._last:
            self.idle.record(took)
        self._last = self._now()
        expected = self.seconds(work)
        if self._sums[0]:
            usual = max(expected, work * self._sums[3] / self._sums[1])
            took = min(took, max(OUTLIER_FACTOR * usual, OUTLIER_MIN_S))
        kept = max(MIN_KEPT, math.exp(-took / MEMORY_S))
        off = abs(took - expected) if self._sums[0] else 0.0
        self._deviation += (1 - kept) * (off - self._deviation)
        new = (1.0, work, work**2, took, work * took)
        self._sums = tuple(  # type: ignore[assignment]
            kept * old + each for old, each in zip(self._sums, new, strict=True)
        )

    def seconds(self, work: int) -> float:
        """Returns the expected seconds for a chunk of ``work`` short messages; 0 if not known."""
        count, sizes, squares, seconds, products = self._sums
        if not count or not work:
            return 0.0
        # Fits a line to the chunks' times as a function of their work. On a GPU, nearly all of the
        # cost is fixed. On a CPU, nearly all of the cost grows with the work. The mean work per
        # second would be a wrong basis: if fewer messages are accepted, chunks are smaller, and
        # less work is done per second. The estimate would then be too long, and even fewer messages
        # would be accepted.
        spread = count * squares - sizes**2
        each = (count * products - sizes * seconds) / spread if spread > 1e-9 * sizes**2 else 0.0
        each = min(max(each, 0.0), seconds / sizes)  # neither cost is below 0
        return (seconds - each * sizes) / count + each * work

    def until_back(self, work: int, sent_at: float) -> float:
        """Returns the seconds until the reply to the oldest chunk in flight is expected.

        ``work`` is the work of this chunk, and ``sent_at`` the time at which it was sent.
        """
        return max(0.0, self.seconds(work) - self._waited(sent_at))

    def margin(self, chunks: int) -> float:
        """Returns the safety margin, in seconds, for the expected time of ``chunks`` chunks."""
        return DEVIATIONS * self._deviation * math.sqrt(chunks)

    def _waited(self, sent_at: float) -> float:
        return self._now() - max(sent_at, self._last)
