"""The schedule of an open loop: the times at which requests are due."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pacer:
    """A schedule of ``rate`` requests per second at even intervals."""

    rate: float

    def due_by(self, elapsed: float) -> int:
        """Returns how many requests are due in the first ``elapsed`` seconds, end included.

        The first request is due at second 0.
        """
        return int(elapsed * self.rate) + 1 if elapsed >= 0 else 0

    def due_before(self, elapsed: float) -> int:
        """Returns how many requests are due in the first ``elapsed`` seconds, end excluded."""
        return math.ceil(round(elapsed * self.rate, 6))

    def due_at(self, number: int) -> float:
        """Returns when request ``number`` is due, in seconds from the start.

        The first request has the number 0.
        """
        return number / self.rate
