"""A cooldown: for some seconds after a failure, a server is not asked again."""

from __future__ import annotations

import time
from collections.abc import Callable


class Cooldown:
    """Remembers for ``rest_s`` seconds that an attempt failed."""

    def __init__(self, rest_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._rest_s = rest_s
        self._now = now
        self._until = 0.0

    @property
    def resting(self) -> bool:
        """Whether the last failure is less than ``rest_s`` seconds old."""
        return self._now() < self._until

    def failed(self) -> None:
        """Notes that an attempt has just failed."""
        self._until = self._now() + self._rest_s
