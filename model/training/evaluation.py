"""Measures a trained model: accuracy, F1, calibration, temperature and threshold.

The functions take numpy arrays. Probabilities and logits have the shape (messages, authors); labels
are indices of authors.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.instruments.wilson import wilson

#: Number of bins of equal width that confidences are sorted into.
BINS = 15
#: Share of the predictions above the threshold that must be right.
TARGET_ACCURACY = 0.75
#: An author with an F1 below this number is hardly ever found.
LEAST_F1 = 0.1
#: Temperatures that calibration tries. Each is 1 % larger than the previous temperature.
TEMPERATURES = np.geomspace(0.02, 20, 700)

#: This number times the argument of a sigmoid is added to the sigmoid's log. Otherwise sigmoids of
#: large numbers would round to 1, and the best guess among them would be random. The addition
#: changes a probability by less than 1 % if the scores differ by less than 100.
SLOPE = 1e-4

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]


def softmax(logits: Floats) -> Floats:
    """Returns the softmax of the logits along the last axis: probabilities."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def log_loss(logits: Floats, labels: Classes) -> float:
    """Returns the mean negative log-likelihood, in nats, with smoothed labels.

    With n messages, the true author's target is not 1 but (n + 1) / (n + 2), as in Platt 1999,
    "Probabilistic Outputs for Support Vector Machines".
    """
    own = np.arange(len(labels)), labels
    # A model that is right on all of a few messages is not proven to be always right.
    target = (len(labels) + 1) / (len(labels) + 2)
    logs = np.log(softmax(logits) + 1e-30)
    others = (logs.sum(1) - logs[own]) / (logits.shape[1] - 1)
    return float(-(target * logs[own] + (1 - target) * others).mean())


def fit_temperature(logits: Floats, labels: Classes) -> float:
    """Returns the divisor of the logits that gives the smallest :func:`log_loss`.

    This is temperature scaling: Guo et al. 2017, "On Calibration of Modern Neural Networks".
    """
    first, last = 0, len(TEMPERATURES) - 1
    # The loss has one minimum, because it is convex in 1 / divisor. So bisection finds it.
    while first < last:
        middle = (first + last) // 2
        here, next_one = (log_loss(logits / TEMPERATURES[middle + i], labels) for i in (0, 1))
        first, last = (first, middle) if here <= next_one else (middle + 1, last)
    return float(TEMPERATURES[first])


def fit_threshold(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """Returns the lowest threshold at which the accuracy is at least ``TARGET_ACCURACY``.

    Only predictions whose confidence reaches the threshold count. If the accuracy of all
    predictions is high enough, the result is 0. If no threshold gives such an accuracy, the result
    is the highest confidence.
    """
    order = np.argsort(-confidence, kind="stable")
    accuracy = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(accuracy >= TARGET_ACCURACY)
    if len(enough) and enough[-1] == len(order) - 1:
        return 0.0
    lowest = float(confidence[order[enough[-1] if len(enough) else 0]])
    # Rounded down, so that the confidence of this prediction reaches the threshold.
    return math.floor(lowest * 10_000) / 10_000


def calibration_bins(confidence: Floats, right: NDArray[np.bool_]) -> list[dict[str, float]]:
    """Sorts the messages into bins by confidence, and returns the figures of each bin.

    The figures are the bin's bounds, number of messages, mean confidence and accuracy. Bins without
    messages are left out.
    """
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        {
            "from": round(number / BINS, 4),
            "to": round((number + 1) / BINS, 4),
            "messages": int(inside.sum()),
            "confidence": round(float(confidence[inside].mean()), 4),
            "accuracy": round(float(right[inside].mean()), 4),
        }
        for number in range(BINS)
        if (inside := bins == number).any()
    ]


def calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """Returns the expected calibration error of the confidences.

    This error is a weighted mean of abs(accuracy - mean confidence) over the bins. The weight of a
    bin is the bin's number of messages.
    """
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, right - confidence, BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def f1_scores(labels: Classes, predicted: Classes, authors: int) -> Floats:
    """Returns the F1 score of each author: 2 TP / (2 TP + FP + FN).

    The score is 0 for an author who is neither in ``labels`` nor in ``predicted``.
    """
    hits = np.bincount(labels[labels == predicted], minlength=authors)
    either = np.bincount(labels, minlength=authors) + np.bincount(predicted, minlength=authors)
    return np.asarray(2 * hits / np.maximum(either, 1))


def macro_f1(labels: Classes, predicted: Classes, authors: int) -> float:
    """Returns the mean F1 score of the authors that are in ``labels`` or ``predicted``."""
    present = np.union1d(labels, predicted)
    return float(f1_scores(labels, predicted, authors)[present].mean())


def summary(probabilities: Floats, labels: Classes, threshold: float) -> dict[str, Any]:
    """Returns the metrics for the model card: accuracy, macro-F1, calibration, coverage.

    Coverage is the share of the messages whose confidence reaches ``threshold``. The share of the
    commonest author is the accuracy of a model that always names this author.
    """
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    right = predicted == labels
    surest = np.argsort(-confidence, kind="stable")[: (len(labels) + 1) // 2]
    answered = confidence >= threshold
    return {
        "accuracy": round(float(right.mean()), 4),
        "macro_f1": round(macro_f1(labels, predicted, probabilities.shape[1]), 4),
        "share_of_commonest_author": round(float(np.bincount(labels).max() / len(labels)), 4),
        "calibration_error": round(calibration_error(confidence, right), 4),
        "accuracy_of_surest_half": round(float(right[surest].mean()), 4),
        "coverage_at_threshold": round(float(answered.mean()), 4),
        "accuracy_at_threshold": (
            round(float(right[answered].mean()), 4) if answered.any() else None
        ),
    }


def intervals(confidence: Floats, right: NDArray[np.bool_]) -> dict[str, list[float]]:
    """Returns 95 % intervals of the accuracy, and of the mean confidence minus the accuracy.

    The second interval says by how much the model may be overconfident on average.
    """
    low, high = wilson(int(right.sum()), len(right))
    mean = float(confidence.mean())
    return {
        "accuracy": [round(low, 4), round(high, 4)],
        "confidence_minus_accuracy": [round(mean - high, 4), round(mean - low, 4)],
    }


def hardly_found(labels: Classes, predicted: Classes, authors: int) -> list[int]:
    """Returns the authors in ``labels`` whose F1 is below ``LEAST_F1``.

    The result includes the authors whom the model never recognises: their F1 is 0.
    """
    rare = np.flatnonzero(f1_scores(labels, predicted, authors) < LEAST_F1)
    return [int(author) for author in np.intersect1d(rare, labels)]


def confusions(labels: Classes, predicted: Classes, limit: int) -> list[tuple[int, int, int]]:
    """Returns the commonest mistakes as (true author, predicted author, number of messages).

    The authors are indices. The list has at most ``limit`` mistakes, commonest first.
    """
    wrong = labels != predicted
    pairs = np.stack([labels[wrong], predicted[wrong]])
    found, counts = np.unique(pairs, axis=1, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:limit]
    return [(int(found[0, i]), int(found[1, i]), int(counts[i])) for i in order]
