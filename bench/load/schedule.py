"""When requests are due: a pure function of the time that has passed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pacer:
    """An even pace of ``rate`` requests per second."""

    rate: float

    def due_by(self, elapsed: float) -> int:
        """Returns how many requests are due in the first ``elapsed`` seconds; the first at 0."""
        return int(elapsed * self.rate) + 1 if elapsed >= 0 else 0

    def due_at(self, number: int) -> float:
        """Returns when the request with this number, from 0, is due, in seconds."""
        return number / self.rate
