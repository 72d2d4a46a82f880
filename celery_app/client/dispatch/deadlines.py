"""Which deadlines are too short: shorter than an answer takes with nothing ahead of the message.

An idle system can't keep them. That they pass is the caller's doing, and no unavailability. What
passes while it waits, or because a queue is ahead of it, is Byline's.
"""

from __future__ import annotations

from celery_app.client.entry import Entry
from tasks.errors import DeadlinePassed, DeadlineTooShort
from tasks.messages import Failure, Outcome

#: Seconds. Nothing that is computed is back sooner: it goes through Redis twice. Until an answer is
#: back, nothing else is known.
LEAST_S = 0.002
#: Seconds. The objective: a caller who gives as long may expect an answer, however slow the model.
OBJECTIVE_S = 0.055
#: The weight of each answer in the mean, once there are enough.
WEIGHT = 0.1


class IdleLatency:
    """How long an answer takes: the lowest mean so far. To become slow is no excuse."""

    def __init__(self) -> None:
        self._answers = 0
        self._mean = 0.0
        self._lowest = OBJECTIVE_S

    @property
    def seconds(self) -> float:
        """How long it takes with nothing ahead, in seconds; from LEAST_S to OBJECTIVE_S."""
        return max(LEAST_S, self._lowest) if self._answers else LEAST_S

    def note(self, seconds: float) -> None:
        """Take down how long an answer took that had nothing ahead of it."""
        self._answers += 1
        self._mean += (seconds - self._mean) * max(WEIGHT, 1 / self._answers)
        self._lowest = min(self._lowest, self._mean)


def too_short(entry: Entry, idle: IdleLatency) -> DeadlineTooShort | None:
    """Return what is wrong with the deadline of a message, None if nothing is."""
    if entry.limit is None or entry.limit >= idle.seconds:
        return None
    least_ms = 1000 * idle.seconds
    return DeadlineTooShort(f"an answer takes {least_ms:.1f} ms with nothing ahead of the message")


def passed(entry: Entry, idle: IdleLatency) -> Failure:
    """Return why there is no answer by a deadline: it was too short, or Byline too slow."""
    late = DeadlinePassed("the deadline passed before the message was attributed")
    error = too_short(entry, idle) or late
    return Failure(entry.id, error.code, str(error))


def told(entry: Entry, outcome: Outcome, idle: IdleLatency) -> Outcome:
    """Return a worker's outcome as a caller is told it: no worker knows what is too short."""
    if isinstance(outcome, Failure) and outcome.code == DeadlinePassed.code:
        return passed(entry, idle)
    return outcome
