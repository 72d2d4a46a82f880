"""How fast messages come back, and so how long the next one will take."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

#: Seconds after which what was measured counts for a third.
MEMORY_S = 2.0


class Pace:
    """Messages a second, while any are on their way: an exponentially weighted mean."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._messages = self._seconds = 0.0
        #: When the present stretch of waiting began; None: nothing is on its way.
        self._since: float | None = None

    def sent(self) -> None:
        """Note that messages are on their way."""
        if self._since is None:
            self._since = self._now()

    def came_back(self, messages: int, more: bool) -> None:
        """Note that some are back, and whether others are still away."""
        now = self._now()
        if self._since is not None:
            took = now - self._since
            kept = math.exp(-took / MEMORY_S)
            self._messages = self._messages * kept + messages
            self._seconds = self._seconds * kept + took
        self._since = now if more else None

    def seconds(self, messages: float) -> float:
        """Return how long so many will take; 0 where nothing is known yet."""
        return messages * self._seconds / self._messages if self._messages else 0.0
