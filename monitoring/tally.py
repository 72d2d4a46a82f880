"""What a worker's model answers, counted: for its metrics, and in portions for the quality monitor.

A cached answer is not counted again: the same message sent a thousand times says nothing new.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol

from model.types import Candidate
from monitoring.metrics import WorkerMetrics

#: Equal-width bins of confidence: those of the model card, which is what drift is measured against.
BINS = 15
#: Shares are counted in millionths: Redis adds up integers without rounding.
MILLION = 1_000_000


class Answer(Protocol):
    """An attribution, as far as it is counted."""

    author: str | None
    confidence: float
    candidates: tuple[Candidate, ...]


class Tally:
    """Filled by the model's thread, emptied by another."""

    def __init__(self, metrics: WorkerMetrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, answers: Iterable[Answer]) -> None:
        """Count what the model answered for some messages."""
        named: Counter[str] = Counter()
        counts: Counter[str] = Counter()
        confidences = []
        for answer in answers:
            confidence = answer.confidence
            confidences.append(confidence)
            counts[f"a:{answer.candidates[0].author}"] += 1
            counts[f"c:{min(int(confidence * BINS), BINS - 1)}"] += 1
            if answer.author is None:
                counts["abstained"] += 1
            else:
                named[answer.author] += 1
        counts["messages"] = len(confidences)
        counts["confidence"] = round(sum(confidences) * MILLION)
        self._metrics.confidence.observe(confidences)
        self._metrics.abstained.inc(counts["abstained"])
        for author, number in named.items():
            self._metrics.attributed.labels(author).inc(number)
        self._merge(counts)

    def add_unseen(self, shares: Iterable[float]) -> None:
        """Count, of some texts, the share of their features that training never saw."""
        counts: Counter[str] = Counter()
        for share in shares:
            counts["unseen_texts"] += 1
            counts["unseen"] += round(share * MILLION)
        self._merge(counts)

    def take(self) -> dict[str, int]:
        """Return what was counted since the last call, by field; empty where nothing was."""
        with self._lock:
            taken, self._counts = self._counts, Counter()
        return {field: number for field, number in taken.items() if number}

    def put_back(self, counts: Mapping[str, int]) -> None:
        """Count again what was taken, and could not be passed on."""
        self._merge(Counter(counts))

    def _merge(self, counts: Counter[str]) -> None:
        with self._lock:
            self._counts.update(counts)
