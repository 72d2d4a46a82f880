"""The quality monitor: are the answers still right? With labels, and without.

Each signal is between 0 and 1, and has a threshold, from what the model card says of the held-out
messages: the difference must be too large for chance, given how many messages there are, and large
enough to matter.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from monitoring.instruments.counting import BINS, MILLION
from monitoring.monitor.statistics import (
    divergence,
    divergence_noise,
    noise,
    pooled,
    share_above,
    wilson,
)

logger = logging.getLogger(__name__)

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
        details = _section(card, "details")
        shares = _section(details, "reference")
        self.messages = int(_section(details, "data").get("held_out_messages", 0))
        self.authors: dict[str, float] = shares.get("predicted_shares", {})
        self.confidence: list[float] = shares.get("confidence_histogram", [])
        unseen = shares.get("unseen", {})
        self.unseen: float | None = unseen.get("mean")
        self.unseen_variance = float(unseen.get("deviation", 0.0)) ** 2
        metrics = _section(details, "metrics")
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
            self.mean_confidence, self.variance = mean, max(0.0, square - mean**2)

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> Reference:
        """Return what can be read of a card. Its details are free-form: it may be nothing."""
        try:
            reference = cls(card)
            known = (
                *(reference.accuracy, reference.abstention),
                *(reference.mean_confidence, reference.unseen),
            )
            shares = (*reference.authors.values(), *reference.confidence, *filter(None, known))
            if all(0 <= share <= 1 for share in shares):
                return reference
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            logger.warning("the card of %s says nothing of quality: %r", card.get("version"), error)
        return cls({})


def _section(card: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a part of a card; others may have words there."""
    found = card.get(name)
    return found if isinstance(found, Mapping) else {}


def assess(
    card: Mapping[str, Any],
    version: str,
    answers: Counter[str],
    labels: Counter[str],
) -> Quality:
    """Return what the counts of both windows say of a version.

    ``card`` is empty where it is not known.
    """
    reference = Reference.of(card)
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


def _low(value: float, threshold: float | None) -> Signal:
    bounded = None if threshold is None else max(0.0, threshold)
    return Signal(value, bounded, bounded is not None and value < bounded)


def _high(value: float, threshold: float | None) -> Signal:
    bounded = None if threshold is None else min(1.0, threshold)
    return Signal(value, bounded, bounded is not None and value > bounded)


def _accuracy(reference: Reference, labels: Counter[str]) -> Signal | None:
    """The share right of the best guesses, named or not, among messages with a known author."""
    learned, expected = labels["labels"], reference.accuracy
    if learned < LEAST:
        return None
    threshold = None
    if expected is not None:
        wrong = share_above(1 - expected, learned, _many(reference))
        threshold = min(expected - MATTERS, 1 - wrong)
    return _low(labels["right"] / learned, threshold)


def _estimated(reference: Reference, answers: Counter[str]) -> Signal | None:
    """The mean calibrated confidence estimates the accuracy, where authors are the known ones.

    Confidence-based performance estimation, as NannyML has it.
    """
    seen = answers["messages"]
    if seen < LEAST:
        return None
    chance, expected = noise(reference.variance, seen, _many(reference)), reference.mean_confidence
    threshold = None if expected is None else expected - max(MATTERS, chance)
    return _low(answers["confidence"] / MILLION / seen, threshold)


def _abstention(reference: Reference, answers: Counter[str]) -> Signal | None:
    seen, expected = answers["messages"], reference.abstention
    if seen < LEAST:
        return None
    threshold = None
    if expected is not None:
        threshold = max(expected + MATTERS, share_above(expected, seen, _many(reference)))
    return _high(answers["abstained"] / seen, threshold)


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
    return _high(divergence(ours, theirs), max(DIVERGES, chance))


def _unseen(reference: Reference, answers: Counter[str]) -> Signal | None:
    """The share of the texts' features that training never saw, of a sample of the texts."""
    texts = answers["unseen_texts"]
    if texts < LEAST:
        return None
    expected, threshold = reference.unseen, None
    if expected is not None:
        chance = noise(reference.unseen_variance, texts, _many(reference))
        threshold = expected + max(NEW, NEW_TIMES * expected, chance)
    return _high(answers["unseen"] / MILLION / texts, threshold)


def _many(reference: Reference) -> int:
    """Return of how many messages the card speaks; where it does not say, they count as one."""
    return max(1, reference.messages)
