"""How good a model is, and how far its confidence can be believed. Arrays in, numbers out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Equal-width bins of confidence, in the error and in the card's table.
BINS = 15
#: The lowest threshold is taken at which this share of the answers given is right.
WANTED_ACCURACY = 0.75
#: Temperatures tried, evenly on a log scale: 1 % apart.
TEMPERATURES = np.geomspace(0.02, 20, 700)

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]


def softmax(logits: Floats) -> Floats:
    """Return probabilities along the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def log_loss(logits: Floats, labels: Classes) -> float:
    """Return the mean negative log-likelihood, in nats.

    The label is believed as Platt 1999, "Probabilistic Outputs for Support Vector Machines", does:
    (n + 1) / (n + 2) with n messages. It matters where there are few: all of them right, they prove
    no certainty.
    """
    own = np.arange(len(labels)), labels
    believed = (len(labels) + 1) / (len(labels) + 2)
    logs = np.log(softmax(logits) + 1e-30)
    others = (logs.sum(1) - logs[own]) / (logits.shape[1] - 1)
    return float(-(believed * logs[own] + (1 - believed) * others).mean())


def temperature(logits: Floats, labels: Classes) -> float:
    """Return the temperature with the least :func:`log_loss`.

    Guo et al. 2017, "On Calibration of Modern Neural Networks".
    """
    return float(min(TEMPERATURES, key=lambda divisor: log_loss(logits / divisor, labels)))


def threshold(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """Return the lowest threshold at which ``WANTED_ACCURACY`` of the answers are right.

    0 where all answers together are; where no threshold does, that of the surest answer.
    """
    order = np.argsort(-confidence, kind="stable")
    accuracy = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(accuracy >= WANTED_ACCURACY)
    if len(enough) and enough[-1] == len(order) - 1:
        return 0.0
    lowest = float(confidence[order[enough[-1] if len(enough) else 0]])
    return math.floor(lowest * 10_000) / 10_000  # down, so that the answer itself is given


def calibrate(logits: Floats, labels: Classes) -> tuple[float, float]:
    """Return temperature and threshold for messages that the model has not seen."""
    divisor = temperature(logits, labels)
    calibrated = softmax(logits / divisor)
    return divisor, threshold(calibrated.max(1), calibrated.argmax(1) == labels)


def calibration(confidence: Floats, right: NDArray[np.bool_]) -> list[dict[str, float]]:
    """Return the bins: bounds, messages, mean confidence and accuracy. Empty ones are left out."""
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
    """Return the expected calibration error: |accuracy - confidence|, weighted by messages."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, right - confidence, BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def f1_scores(labels: Classes, predicted: Classes, authors: int) -> Floats:
    """Return 2 TP / (2 TP + FP + FN) for each author; 0 for one neither there nor named."""
    hits = np.bincount(labels[labels == predicted], minlength=authors)
    either = np.bincount(labels, minlength=authors) + np.bincount(predicted, minlength=authors)
    return np.asarray(2 * hits / np.maximum(either, 1))


def macro_f1(labels: Classes, predicted: Classes, authors: int) -> float:
    """Return the mean F1 over the authors that are in ``labels`` or ``predicted``."""
    present = np.union1d(labels, predicted)
    return float(f1_scores(labels, predicted, authors)[present].mean())


def summary(probabilities: Floats, labels: Classes, cutoff: float) -> dict[str, Any]:
    """Return the card's metrics, from probabilities of shape (messages, authors)."""
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    right = predicted == labels
    surest = np.argsort(-confidence, kind="stable")[: (len(labels) + 1) // 2]
    answered = confidence >= cutoff
    return {
        "accuracy": round(float(right.mean()), 4),
        "macro_f1": round(macro_f1(labels, predicted, probabilities.shape[1]), 4),
        "calibration_error": round(calibration_error(confidence, right), 4),
        "accuracy_of_surest_half": round(float(right[surest].mean()), 4),
        "coverage_at_threshold": round(float(answered.mean()), 4),
        "accuracy_at_threshold": (
            round(float(right[answered].mean()), 4) if answered.any() else None
        ),
    }


def confusions(labels: Classes, predicted: Classes, most: int) -> list[tuple[int, int, int]]:
    """Return the commonest mistakes as (true, named, messages), commonest first."""
    wrong = labels != predicted
    pairs = np.stack([labels[wrong], predicted[wrong]])
    found, counts = np.unique(pairs, axis=1, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    return [(int(found[0, i]), int(found[1, i]), int(counts[i])) for i in order]
