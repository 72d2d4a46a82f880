"""What has failed is left alone for a while: to wait for it again and again helps nobody."""

from __future__ import annotations

import time
from collections.abc import Callable


class Cooldown:
    """Remembers for ``rest_s`` seconds that something failed."""

    def __init__(self, rest_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._rest_s = rest_s
        self._now = now
        self._until = 0.0

    @property
    def resting(self) -> bool:
        """Whether it failed a short while ago."""
        return self._now() < self._until

    def failed(self) -> None:
        """Note that it has just failed."""
        self._until = self._now() + self._rest_s
