"""The quality monitor: are the answers still right? With labels, and without.

Each signal is between 0 and 1, and has a threshold, from what the model card says of the held-out
messages: the difference must be too large for chance, given how many messages there are, and large
enough to matter.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from monitoring.counting import BINS, MILLION
from monitoring.statistics import divergence, divergence_noise, noise, pooled, wilson

#: Messages, labels or texts that a signal needs to be told at all.
LEAST = 30
#: Differences in a share below which nobody would do anything.
MATTERS = 0.05
#: The same of the share of features that are new, of which there are few: as many again.
NEW, NEW_TIMES = 0.005, 1.0
#: The same of a divergence, in bits: the customary 0.1 of the population stability index, of which
#: the divergence is an eighth, in nats.
DIVERGES = 0.1 / (8 * math.log(2))
#: Signals that are bad where they are low.
LOW_IS_BAD = ("accuracy", "estimated_accuracy")


class Signal(msgspec.Struct, frozen=True):
    """One figure, and where it begins to mean something."""

    value: float
    #: None where the card holds nothing to compare with.
    threshold: float | None
    past: bool


class Quality(msgspec.Struct, frozen=True):
    """What is known of a model version's answers in the last minutes."""

    version: str
    #: Messages computed, and messages whose author was learned, in their windows.
    messages: int
    labels: int
    #: Share of the messages computed, over the labels' window, whose author was learned.
    coverage: float | None
    #: Wilson interval of the accuracy; None without labels.
    interval: tuple[float, float] | None
    signals: dict[str, Signal]


class Reference:
    """What a model card says of the held-out messages. All of it is optional."""

    def __init__(self, card: Mapping[str, Any]) -> None:
        details = card.get("details", {})
        shares = details.get("reference", {})
        self.messages = int(details.get("data", {}).get("held_out_messages", 0))
        self.authors: dict[str, float] = shares.get("predicted_shares", {})
        self.confidence: list[float] = shares.get("confidence_histogram", [])
        self.unseen: Mapping[str, float] = shares.get("unseen", {})
        metrics = details.get("metrics", {})
        self.accuracy: float | None = metrics.get("accuracy")
        coverage = metrics.get("coverage_at_threshold")
        self.abstention = None if coverage is None else 1 - coverage
        bins = details.get("calibration", [])
        total = sum(each["messages"] for each in bins)
        self.mean_confidence: float | None = None
        self.variance = 0.25  # the most that something between 0 and 1 can have
        if total:
            mean = sum(each["messages"] * each["confidence"] for each in bins) / total
            square = sum(each["messages"] * each["confidence"] ** 2 for each in bins) / total
            self.mean_confidence, self.variance = mean, square - mean**2


def assess(
    card: Mapping[str, Any],
    version: str,
    answers: Counter[str],
    labels: Counter[str],
) -> Quality:
    """Return what the counts of both windows say of a version.

    ``card`` is empty where it is not known.
    """
    reference = Reference(card)
    seen, learned = answers["messages"], labels["labels"]
    signals: dict[str, Signal | None] = {
        "accuracy": _accuracy(reference, labels),
        "estimated_accuracy": _estimated(reference, answers),
        "abstention": _abstention(reference, answers),
        "author_drift": _author_drift(reference, answers),
        "confidence_drift": _confidence_drift(reference, answers),
        "unseen": _unseen(reference, answers),
    }
    return Quality(
        version,
        seen,
        learned,
        learned / labels["messages"] if labels["messages"] else None,
        wilson(labels["right"], learned) if learned else None,
        {name: signal for name, signal in signals.items() if signal is not None},
    )


def _low(value: float, expected: float | None, chance: float) -> Signal:
    threshold = None if expected is None else max(0.0, expected - max(MATTERS, chance))
    return Signal(value, threshold, threshold is not None and value < threshold)


def _high(value: float, expected: float | None, least: float) -> Signal:
    threshold = None if expected is None else min(1.0, expected + least)
    return Signal(value, threshold, threshold is not None and value > threshold)


def _accuracy(reference: Reference, labels: Counter[str]) -> Signal | None:
    """The share right of the best guesses, named or not, among messages with a known author."""
    learned, expected = labels["labels"], reference.accuracy
    if learned < LEAST:
        return None
    chance = noise((expected or 0.5) * (1 - (expected or 0.5)), learned, _many(reference))
    return _low(labels["right"] / learned, expected, chance)


def _estimated(reference: Reference, answers: Counter[str]) -> Signal | None:
    """The mean calibrated confidence estimates the accuracy, where authors are the known ones.

    Confidence-based performance estimation, as NannyML has it.
    """
    seen = answers["messages"]
    if seen < LEAST:
        return None
    chance = noise(reference.variance, seen, _many(reference))
    return _low(answers["confidence"] / MILLION / seen, reference.mean_confidence, chance)


def _abstention(reference: Reference, answers: Counter[str]) -> Signal | None:
    seen, expected = answers["messages"], reference.abstention
    if seen < LEAST:
        return None
    share = 0.5 if expected is None else expected
    chance = noise(share * (1 - share), seen, _many(reference))
    return _high(answers["abstained"] / seen, expected, max(MATTERS, chance))


def _author_drift(reference: Reference, answers: Counter[str]) -> Signal | None:
    names = list(reference.authors)
    counts = [answers[f"a:{name}"] for name in names]
    return _drift(counts, list(reference.authors.values()), reference)


def _confidence_drift(reference: Reference, answers: Counter[str]) -> Signal | None:
    if len(reference.confidence) != BINS:
        return None
    return _drift(
        [answers[f"c:{number}"] for number in range(BINS)], reference.confidence, reference
    )


def _drift(counts: list[int], expected: list[float], reference: Reference) -> Signal | None:
    total = sum(counts)
    if total < LEAST or not expected:
        return None
    ours, theirs = pooled(counts, expected)
    chance = divergence_noise(len(ours), total, _many(reference))
    return _high(divergence(ours, theirs), 0.0, max(DIVERGES, chance))


def _unseen(reference: Reference, answers: Counter[str]) -> Signal | None:
    """The share of the texts' features that training never saw, of a sample of the texts."""
    texts = answers["unseen_texts"]
    if texts < LEAST:
        return None
    expected, deviation = reference.unseen.get("mean"), reference.unseen.get("deviation", 0.0)
    chance = noise(deviation**2, texts, _many(reference))
    matters = max(NEW, NEW_TIMES * (expected or 0.0))
    return _high(answers["unseen"] / MILLION / texts, expected, max(matters, chance))


def _many(reference: Reference) -> int:
    """Return of how many messages the card speaks; where it does not say, they count as one."""
    return max(1, reference.messages)
