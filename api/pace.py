"""How fast chunks come back, and so how long the next message will take.

A chunk costs something, and each of its messages does: on a GPU it is nearly all the chunk, on a
CPU nearly all the messages. Which it is, is found from the chunks that have come back, by the least
squares line through their sizes and the times they took, the recent ones weighing most. To go by
messages a second alone would be a trap: fewer let in make smaller chunks, these fewer messages a
second, and these fewer let in.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

#: Seconds after which what was measured counts for a third; and the share of its weight that it
#: keeps at least with each chunk, so that a slow model's are remembered as well.
MEMORY_S = 2.0
KEPT = 0.9
#: Mean deviations that a wait may be longer than the line says.
DEVIATIONS = 2.0


class Pace:
    """What chunks cost, while any are on their way."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        #: Sums over chunks, weighted: 1, size, its square, seconds, size times seconds.
        self._sums = (0.0, 0.0, 0.0, 0.0, 0.0)
        #: By how many seconds a chunk is off the line, as a mean.
        self._deviation = 0.0
        #: When the present stretch of waiting began; None: nothing is on its way.
        self._since: float | None = None

    def sent(self) -> None:
        """Note that messages are on their way."""
        if self._since is None:
            self._since = self._now()

    def came_back(self, messages: int, more: bool) -> None:
        """Note that a chunk is back, and whether others are still away."""
        if self._since is not None and messages:
            took = self._now() - self._since
            kept = max(KEPT, math.exp(-took / MEMORY_S))
            off = abs(took - self.seconds(messages)) if self._sums[0] else 0.0
            self._deviation += (1 - kept) * (off - self._deviation)
            new = (1.0, messages, messages**2, took, messages * took)
            self._sums = tuple(  # type: ignore[assignment]
                kept * old + each for old, each in zip(self._sums, new, strict=True)
            )
        self._since = self._now() if more else None

    def seconds(self, messages: int) -> float:
        """Return how long a chunk of so many will take; 0 where nothing is known yet."""
        count, sizes, squares, seconds, products = self._sums
        if not count or not messages:
            return 0.0
        spread = count * squares - sizes**2
        each = (count * products - sizes * seconds) / spread if spread > 1e-9 * sizes**2 else 0.0
        each = min(
            max(each, 0.0), seconds / sizes
        )  # neither a chunk nor a message costs less than 0
        return (seconds - each * sizes) / count + each * messages

    def until_back(self, messages: int) -> float:
        """Return the seconds until a chunk of so many, the next to come back, is back."""
        waited = 0.0 if self._since is None else self._now() - self._since
        return max(0.0, self.seconds(messages) - waited)

    def until_answered(self, away: Sequence[int], ahead: int, chunk_messages: int) -> float:
        """Return the seconds until a message is answered, probably, that leaves when it can.

        ``away`` are the sizes of the chunks under way, ``ahead`` is how many messages wait before
        it, ``chunk_messages`` the largest chunk.
        """
        before = self.until_back(away[0]) + sum(map(self.seconds, away[1:])) if away else 0.0
        full, rest = divmod(ahead, chunk_messages)
        then = full * self.seconds(chunk_messages) + self.seconds(rest + 1)
        margin = DEVIATIONS * self._deviation * math.sqrt(len(away) + full + 1)
        return before + then + margin
