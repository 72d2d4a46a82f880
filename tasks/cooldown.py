"""A cooldown: after a server has failed, it is not asked again for some seconds."""

from __future__ import annotations

import time
from collections.abc import Callable


class Cooldown:
    """Remembers for ``rest_s`` seconds that a server has failed."""

    def __init__(self, rest_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._rest_s = rest_s
        self._now = now
        self._until = 0.0

    @property
    def resting(self) -> bool:
        """Whether the server failed within the last ``rest_s`` seconds. If so, do not ask it."""
        return self._now() < self._until

    def failed(self) -> None:
        """Records that the server has just failed."""
        self._until = self._now() + self._rest_s
