"""Computes the quality of a run's attributions, and compares it with the model card's figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.load.recorder import Recorder
from bench.report.results import Quality

#: Standard normal quantile of a two-sided 95 % interval.
Z95 = 1.959964
#: Standard normal quantile of a two-sided 99.9 % interval.
Z999 = 3.290527
#: Number of bins for the calibration error.
BINS = 15


def judge(recorder: Recorder, card: dict[str, Any] | None) -> Quality | None:
    """Returns the quality of a run's answers; None if there were no answers.

    ``card`` is the model's card, whose accuracy is compared with the run's. Answers to variants of
    one passage are not independent. So the accuracy's confidence intervals are computed as for
    fewer answers: their number is the result of :func:`effective`.
    """
    if not recorder.right:
        return None
    right = np.array(recorder.right, bool)
    named = np.array(recorder.named, bool)
    confidence = np.array(recorder.confidence, np.float64)
    # A run may send many variants of one passage, and their answers are not independent.
    independent = effective(recorder.by_passage.values())
    accuracy = float(right.mean())
    low, high = wilson(accuracy, independent, Z95)
    promised, coverage = _promised(card)
    within = wilson(accuracy, independent, Z999)
    return Quality(
        messages=len(right),
        accuracy=accuracy,
        accuracy_low=low,
        accuracy_high=high,
        coverage=float(named.mean()),
        accuracy_when_answered=float(right[named].mean()) if named.any() else 0.0,
        calibration_error=calibration_error(confidence, right),
        card_accuracy=promised,
        card_coverage=coverage,
        agrees=None if promised is None else within[0] <= promised <= within[1],
    )


def effective(weights: Iterable[int]) -> float:
    """Returns the effective number of independent answers, for confidence intervals (Kish 1965).

    Each weight is the number of answers to one passage. Answers to the same passage are not
    independent. The result is (sum of the weights)² / (sum of their squares), which is at most the
    number of answers.
    """
    counts = np.array(list(weights), np.float64)
    return float(counts.sum() ** 2 / (counts**2).sum())


def wilson(share: float, count: float, z: float) -> tuple[float, float]:
    """Returns the Wilson score interval (Wilson 1927) of ``share``, a share of ``count`` trials.

    ``z`` is the standard normal quantile of the interval's confidence.
    """
    centre = share + z * z / (2 * count)
    spread = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return float((centre - spread) / scale), float((centre + spread) / scale)


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Returns the expected calibration error (Naeini et al. 2015), from bins of equal width.

    ``confidence`` and ``right`` have an item for each answer. The answers are sorted into bins by
    their confidence. A bin's gap is the difference between its mean confidence and its accuracy.
    The error is the mean of the gaps, weighted by the number of answers in each bin.
    """
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    error = 0.0
    for number in np.unique(bins):
        here = bins == number
        error += here.mean() * abs(confidence[here].mean() - right[here].mean())
    return float(error)


def _promised(card: dict[str, Any] | None) -> tuple[float | None, float | None]:
    metrics = (card or {}).get("details", {}).get("metrics", {})
    return metrics.get("accuracy"), metrics.get("coverage_at_threshold")
