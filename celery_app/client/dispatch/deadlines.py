"""Tells a deadline that is too short from a deadline that Byline missed.

A deadline is too short if an answer takes longer with no other message ahead. Even an idle system
can't keep such a deadline, so it does not count as a failure of Byline. Where a message misses a
longer deadline, because it waited or a queue was ahead of it, Byline was too slow.
"""

from __future__ import annotations

from celery_app.client.entry import Entry
from tasks.errors import DeadlinePassed, DeadlineTooShort
from tasks.messages import Failure, Outcome

#: Shortest time that a computed answer takes, in seconds: the message goes through Redis twice. The
#: same time is the estimate until the first answer is back.
MIN_LATENCY_S = 0.002
#: The objective for an answer, in seconds. A deadline of at least this time is never too short,
#: however slow the model is.
OBJECTIVE_S = 0.055
#: Weight of each answer in the mean, once there are enough answers.
WEIGHT = 0.1


class IdleLatency:
    """How long an answer takes with no message ahead: the lowest mean so far.

    The latency never rises again: a system that becomes slow gets no excuse for missed deadlines.
    """

    def __init__(self) -> None:
        self._answers = 0
        self._mean = 0.0
        self._lowest = OBJECTIVE_S

    @property
    def seconds(self) -> float:
        """The latency in seconds, from MIN_LATENCY_S to OBJECTIVE_S."""
        return max(MIN_LATENCY_S, self._lowest) if self._answers else MIN_LATENCY_S

    def note(self, seconds: float) -> None:
        """Records the seconds that an answer took with no other message ahead."""
        self._answers += 1
        self._mean += (seconds - self._mean) * max(WEIGHT, 1 / self._answers)
        self._lowest = min(self._lowest, self._mean)


def too_short(entry: Entry, idle: IdleLatency) -> DeadlineTooShort | None:
    """Returns the error for a deadline that is too short; None: the deadline is long enough."""
    if entry.deadline_s is None or entry.deadline_s >= idle.seconds:
        return None
    min_ms = 1000 * idle.seconds
    return DeadlineTooShort(f"an answer takes {min_ms:.1f} ms with nothing ahead of the message")


def passed(entry: Entry, idle: IdleLatency) -> Failure:
    """Returns the failure of a late message: its deadline was too short, or Byline too slow."""
    late = DeadlinePassed("the deadline passed before the message was attributed")
    error = too_short(entry, idle) or late
    return Failure(entry.id, error.code, str(error))


def for_caller(entry: Entry, outcome: Outcome, idle: IdleLatency) -> Outcome:
    """Returns a worker's outcome as the caller gets it.

    A worker reports every missed deadline as passed: it does not know which were too short.
    """
    if isinstance(outcome, Failure) and outcome.code == DeadlinePassed.code:
        return passed(entry, idle)
    return outcome
