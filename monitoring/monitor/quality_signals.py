"""Computes the quality signals, numbers from 0 to 1 on whether the model's answers are still right.

Some signals need labels: true authors that clients report. A signal is past its threshold if it
differs from the model card's figure by a large amount, and by more than chance explains.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from monitoring.instruments.prediction_units import BINS, MILLION
from monitoring.instruments.wilson import wilson
from monitoring.monitor.significance import (
    divergence,
    divergence_noise,
    mean_noise,
    pooled,
    share_above,
)

logger = logging.getLogger(__name__)

#: Minimum number of messages, labels or texts for a signal. With fewer, the signal is left out.
MIN_MESSAGES = 30
#: Smallest difference in a share that matters: nobody would act on less.
MIN_SHARE_CHANGE = 0.05
#: Smallest rise that matters in the share of features that training never saw. The share itself is
#: small.
MIN_UNSEEN_RISE = 0.005
#: Smallest rise that matters in the share of features that training never saw, as a multiple of
#: that share in the held-out messages.
MIN_UNSEEN_FACTOR = 1.0
#: Smallest divergence that matters, in bits: the customary 0.1 of the population stability index.
#: In nats, the divergence is an eighth of that index.
MIN_DIVERGENCE = 0.1 / (8 * math.log(2))


class Signal(msgspec.Struct, frozen=True):
    """The value of a quality signal, and the threshold past which the value shows a change."""

    value: float
    #: None if the model card lacks the figure to compare with.
    threshold: float | None
    #: Whether the value is past the threshold: below the threshold for an accuracy, above it for
    #: other signals.
    past: bool


class Quality(msgspec.Struct, frozen=True):
    """The quality of a model version's predictions in the last minutes."""

    version: str
    #: Number of messages in the answers' window that the model computed.
    messages: int
    #: Number of messages in the labels' window whose true author was reported.
    labels: int
    #: Share of messages with a reported author, of all messages computed in the labels' window.
    coverage: float | None
    #: Wilson interval of the accuracy; None without labels.
    interval: tuple[float, float] | None
    signals: dict[str, Signal]


class Reference:
    """A model card's figures about the held-out messages, which the model was not trained on.

    Any figure may be missing.
    """

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
        self.variance = 0.25  # the largest variance of a number between 0 and 1
        if total:
            mean = sum(each["messages"] * each["confidence"] for each in bins) / total
            square = sum(each["messages"] * each["confidence"] ** 2 for each in bins) / total
            self.mean_confidence, self.variance = mean, max(0.0, square - mean**2)

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> Reference:
        """Returns the figures of a model card.

        A card's details are free-form, so any figure may be missing. If a figure has a wrong type
        or an impossible value, all figures are left out.
        """
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
            line = "the model card of %s has no readable quality figures: %r"
            logger.warning(line, card.get("version"), error)
        return cls({})


def _section(card: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Returns the section ``name`` of a model card, or of a section of a card.

    The result is empty if there is no such section, or if the section is not a mapping.
    """
    found = card.get(name)
    return found if isinstance(found, Mapping) else {}


def assess(
    card: Mapping[str, Any],
    version: str,
    answers: Counter[str],
    labels: Counter[str],
) -> Quality:
    """Returns the quality of a model version, computed from counts of predictions and feedback.

    ``card`` is the model card; empty if unknown. ``answers`` are counts of the version's
    predictions, such as "abstained". ``labels`` are counts from the feedback of clients, such as
    "right": the predictions that feedback has confirmed.
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
    """Returns the signal "accuracy": the share of messages with a right best guess.

    Only messages whose true author was reported count. A best guess counts even if the model named
    no author. The result is None with too few reports.
    """
    learned, expected = labels["labels"], reference.accuracy
    if learned < MIN_MESSAGES:
        return None
    threshold = None
    if expected is not None:
        wrong = share_above(1 - expected, learned, _held_out(reference))
        threshold = min(expected - MIN_SHARE_CHANGE, 1 - wrong)
    return _low(labels["right"] / learned, threshold)


def _estimated(reference: Reference, answers: Counter[str]) -> Signal | None:
    """Returns the signal "estimated accuracy", which needs no labels; None with too few messages.

    The signal is the mean of the calibrated confidences. It is right only for messages by authors
    that the model knows. The method is NannyML's confidence-based performance estimation (CBPE).
    """
    seen = answers["messages"]
    if seen < MIN_MESSAGES:
        return None
    expected = reference.mean_confidence
    chance = mean_noise(reference.variance, seen, _held_out(reference))
    threshold = None if expected is None else expected - max(MIN_SHARE_CHANGE, chance)
    return _low(answers["confidence"] / MILLION / seen, threshold)


def _abstention(reference: Reference, answers: Counter[str]) -> Signal | None:
    seen, expected = answers["messages"], reference.abstention
    if seen < MIN_MESSAGES:
        return None
    threshold = None
    if expected is not None:
        chance = share_above(expected, seen, _held_out(reference))
        threshold = max(expected + MIN_SHARE_CHANGE, chance)
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
    if total < MIN_MESSAGES or not expected:
        return None
    ours, theirs = pooled(counts, expected)
    chance = divergence_noise(len(ours), total, _held_out(reference))
    return _high(divergence(ours, theirs), max(MIN_DIVERGENCE, chance))


def _unseen(reference: Reference, answers: Counter[str]) -> Signal | None:
    """Returns the signal "unseen": the share of a text's features that training never saw.

    The signal is the mean of this share over a sample of the texts. The result is None with too few
    texts.
    """
    texts = answers["unseen_texts"]
    if texts < MIN_MESSAGES:
        return None
    expected, threshold = reference.unseen, None
    if expected is not None:
        chance = mean_noise(reference.unseen_variance, texts, _held_out(reference))
        threshold = expected + max(MIN_UNSEEN_RISE, MIN_UNSEEN_FACTOR * expected, chance)
    return _high(answers["unseen"] / MILLION / texts, threshold)


def _held_out(reference: Reference) -> int:
    """Returns the number of held-out messages; 1 if the card does not give the number."""
    return max(1, reference.messages)
