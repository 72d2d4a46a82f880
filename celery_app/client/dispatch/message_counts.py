"""Gathers the outcomes of messages, and adds them to the metrics in groups.

prometheus-client takes 5 us to count a single message, because several processes share the counters
through files.
"""

from __future__ import annotations

from collections import Counter

from monitoring.instruments.metrics import OUTCOMES, ApiMetrics


class MessageCounts:
    """Counts the messages of one process by their outcome, for example ``cached`` or ``failed``.

    Only the event loop's thread may use this object.
    """

    def __init__(self, metrics: ApiMetrics) -> None:
        self._counters = {outcome: metrics.messages.labels(outcome) for outcome in OUTCOMES}
        self._gathered: Counter[str] = Counter()

    def add(self, outcome: str, messages: int = 1) -> None:
        """Gathers the outcome of some messages. :meth:`flush` adds them to the metrics later."""
        self._gathered[outcome] += messages

    def flush(self) -> None:
        """Adds the gathered messages to the metrics, and empties this object."""
        gathered, self._gathered = self._gathered, Counter()
        for outcome, messages in gathered.items():
            self._counters[outcome].inc(messages)
