"""Finds out why a message missed its deadline: Byline was too slow, or the deadline was too short.

A deadline is too short if even an idle Byline would miss the deadline. Such a miss does not
count as a failure of Byline.
"""

from __future__ import annotations

from celery_app.client.entry import Entry
from tasks.errors import DeadlinePassed, DeadlineTooShort
from tasks.messages import Failure, Outcome

#: Shortest time that a computed answer takes, in seconds: the message goes to the worker and the
#: reply comes back, both through Redis. Until the first answer, this value is also the estimate.
MIN_LATENCY_S = 0.002
#: The time in which Byline aims to answer, in seconds. A deadline of at least this time never
#: counts as too short, even if the model is slow.
OBJECTIVE_S = 0.055
#: Weight of a new answer in the running mean, after the first ten answers. The first ten answers
#: have equal weights.
WEIGHT = 0.1


class IdleLatency:
    """Estimates the time that an answer takes when no other message is ahead.

    The estimate is the lowest running mean of such times so far.
    """

    def __init__(self) -> None:
        self._answers = 0
        self._mean = 0.0
        self._lowest = OBJECTIVE_S

    @property
    def seconds(self) -> float:
        """The seconds that an answer takes when no other message is ahead.

        The value is the lowest running mean so far, but at least :data:`MIN_LATENCY_S` and at most
        :data:`OBJECTIVE_S`.
        """
        return max(MIN_LATENCY_S, self._lowest) if self._answers else MIN_LATENCY_S

    def record(self, seconds: float) -> None:
        """Records that an answer took ``seconds`` seconds, while no other message was ahead."""
        self._answers += 1
        self._mean += (seconds - self._mean) * max(WEIGHT, 1 / self._answers)
        # The estimate does not rise if Byline becomes slow. So a missed deadline still counts as a
        # failure of Byline.
        self._lowest = min(self._lowest, self._mean)


def too_short(entry: Entry, idle: IdleLatency) -> DeadlineTooShort | None:
    """Returns the error for a message whose deadline is too short even for an idle Byline.

    Returns None if the deadline is long enough, or if the message has no deadline.
    """
    if entry.deadline_s is None or entry.deadline_s >= idle.seconds:
        return None
    min_ms = 1000 * idle.seconds
    return DeadlineTooShort(f"an answer takes {min_ms:.1f} ms with nothing ahead of the message")


def deadline_failure(entry: Entry, idle: IdleLatency) -> Failure:
    """Returns the failure of a message that missed its deadline.

    The failure's code says whether the deadline was too short, or Byline was too slow.
    """
    late = DeadlinePassed("the deadline passed before the message was attributed")
    error = too_short(entry, idle) or late
    return Failure(entry.id, error.code, str(error))


def for_caller(entry: Entry, outcome: Outcome, idle: IdleLatency) -> Outcome:
    """Returns the outcome for the caller, given the ``outcome`` that a worker sent.

    The two outcomes differ only if the message missed its deadline. Then the caller's outcome is a
    failure that says whether the deadline was too short, or Byline was too slow.
    """
    # A worker does not know which deadlines were too short, and sends one code for all missed
    # deadlines.
    if isinstance(outcome, Failure) and outcome.code == DeadlinePassed.code:
        return deadline_failure(entry, idle)
    return outcome
