"""Counts the predictions of a worker's model, for metrics and for the quality monitor.

An answer from the cache is not counted: if a message is sent a thousand times, the repetitions say
nothing new about the model.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from monitoring.instruments.metrics import WorkerMetrics
from monitoring.instruments.prediction_units import BINS, MILLION

#: The best guesses of a batch: class indices and probabilities, both of shape (messages,).
Batch = tuple[NDArray[np.int64], NDArray[np.float32]]


class PredictionStats:
    """Counts the model's predictions, for the worker's metrics and for the quality monitor.

    The model's thread adds batches. Another thread calls :meth:`take`, which counts the predictions
    of all added batches.
    """

    def __init__(self, metrics: WorkerMetrics, authors: Sequence[str], threshold: float) -> None:
        """``threshold`` is the confidence below which the model abstains."""
        self._metrics = metrics
        self._authors = authors
        self._threshold = threshold
        self._lock = threading.Lock()
        self._batches: list[Batch] = []
        self._counts: Counter[str] = Counter()

    def add(self, best: NDArray[np.int64], confidence: NDArray[np.float32]) -> None:
        """Adds a batch: the index of each message's best author, and that author's probability.

        Both arrays have the shape (messages,).
        """
        with self._lock:
            self._batches.append((best, confidence))

    def add_unseen(self, shares: Iterable[float]) -> None:
        """Adds a share for each text: the share of the text's features that training never saw."""
        counts: Counter[str] = Counter()
        for share in shares:
            counts["unseen_texts"] += 1
            counts["unseen"] += round(share * MILLION)
        self.put_back(counts)

    def put_back(self, counts: Mapping[str, int]) -> None:
        """Adds counts that could not be stored, so that the next :meth:`take` returns them."""
        with self._lock:
            self._counts.update(counts)

    def take(self) -> dict[str, int]:
        """Returns a mapping from the counts' names in Redis to the counts since the last call.

        Leaves out counts that are 0.
        """
        with self._lock:
            batches, self._batches = self._batches, []
            counts, self._counts = self._counts, Counter()
        # Counting each batch alone takes several times as long.
        if batches:
            best = np.concatenate([batch[0] for batch in batches])
            confidence = np.concatenate([batch[1] for batch in batches]).astype(np.float64)
            counts.update(self._counted(best, confidence))
        return {field: number for field, number in counts.items() if number}

    def _counted(self, best: NDArray[np.int64], confidence: NDArray[np.float64]) -> dict[str, int]:
        named = best[confidence >= self._threshold]
        for index, number in enumerate(np.bincount(named).tolist()):
            if number:
                self._metrics.attributed.labels(self._authors[index]).inc(number)
        self._metrics.abstained.inc(len(best) - len(named))
        self._metrics.confidence.observe_many(confidence.tolist())
        bins = np.clip((confidence * BINS).astype(int), 0, BINS - 1)
        return {
            "messages": len(best),
            "abstained": len(best) - len(named),
            "confidence": round(float(confidence.sum()) * MILLION),
            **{f"a:{self._authors[i]}": n for i, n in enumerate(np.bincount(best).tolist())},
            **{f"c:{number}": n for number, n in enumerate(np.bincount(bins).tolist())},
        }
