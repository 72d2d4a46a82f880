"""Quality signals cross their thresholds only if answers differ from the held-out messages."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.ngram import classifier
from monitoring.instruments.prediction_units import BINS, MILLION
from monitoring.monitor.quality_signals import MIN_MESSAGES, Reference, assess

CARD: dict[str, Any] = json.loads((Path(classifier.SHIPPED) / "card.json").read_text("utf-8"))
REFERENCE = CARD["details"]["reference"]
NOBODY: Counter[str] = Counter()


def answers(messages: int, seed: int = 0, sure: float = 0.0) -> Counter[str]:
    """Returns counts of messages like the held-out ones. The model is sure of a share ``sure``."""
    generator = np.random.default_rng(seed)
    authors = REFERENCE["predicted_shares"]
    shares = np.array(list(authors.values()))
    drawn = generator.multinomial(messages, shares / shares.sum())
    counts = Counter({f"a:{name}": int(n) for name, n in zip(authors, drawn, strict=True)})
    histogram = np.array(REFERENCE["confidence_histogram"])
    bins = generator.multinomial(messages, histogram / histogram.sum())
    moved = int(messages * sure)
    bins = (bins * (1 - sure)).astype(int)
    bins[-1] += moved
    counts |= Counter({f"c:{number}": int(n) for number, n in enumerate(bins)})
    middles = (np.arange(BINS) + 0.5) / BINS
    counts["messages"] = messages
    counts["confidence"] = int((bins * middles).sum() * MILLION)
    abstained = 1 - CARD["details"]["metrics"]["coverage_at_threshold"]
    counts["abstained"] = int(generator.binomial(messages, abstained))
    counts["unseen_texts"] = messages // 10
    counts["unseen"] = int(messages // 10 * REFERENCE["unseen"]["mean"] * MILLION)
    return counts


def past(answered: Counter[str], labels: Counter[str] = NOBODY) -> set[str]:
    quality = assess(CARD, "v", answered, labels)
    return {name for name, signal in quality.signals.items() if signal.past}


@pytest.mark.parametrize("messages", [MIN_MESSAGES, 100, 1000, 30_000])
@pytest.mark.parametrize("seed", range(20))
def test_answers_like_the_held_out_ones_cross_no_threshold(messages: int, seed: int) -> None:
    labels = Counter(labels=messages, right=round(0.58 * messages), messages=messages)
    assert past(answers(messages, seed), labels) == set()


def test_few_messages_give_no_signals() -> None:
    quality = assess(CARD, "v", answers(MIN_MESSAGES - 1), Counter(labels=3, right=1, messages=29))
    assert quality.signals == {}
    assert quality.interval == pytest.approx((0.0615, 0.7923), abs=1e-3)
    assert quality.coverage == pytest.approx(3 / 29)


def test_one_author_for_all_messages_is_author_drift() -> None:
    counts = answers(200)
    for name in REFERENCE["predicted_shares"]:
        counts[f"a:{name}"] = 0
    counts["a:Woodrow Wilson"] = 200
    assert past(counts) == {"author_drift"}


def test_changed_confidence_crosses_the_thresholds_of_confidence() -> None:
    assert past(answers(2000, sure=0.5)) == {"confidence_drift"}
    unsure = answers(2000)
    for number in range(BINS):
        unsure[f"c:{number}"] = 2000 if number == 2 else 0
    unsure["confidence"], unsure["abstained"] = 400 * MILLION, 2000
    assert past(unsure) == {"confidence_drift", "estimated_accuracy", "abstention"}


def test_texts_with_unknown_features_cross_the_threshold_of_unseen() -> None:
    counts = answers(400)
    counts["unseen"] = int(40 * 0.02 * MILLION)
    assert past(counts) == {"unseen"}


def test_wrong_labels_cross_the_threshold_of_accuracy() -> None:
    assert past(answers(400), Counter(labels=60, right=10, messages=400)) == {"accuracy"}
    # With so few labels, even a third more wrong guesses than expected may be chance.
    assert past(answers(400), Counter(labels=30, right=14, messages=400)) == set()


@pytest.mark.parametrize(
    "details",
    [
        None,
        {"data": "my mails"},
        {"metrics": {"accuracy": "93 %"}},
        {"metrics": {"accuracy": 93.0}},
        {"calibration": {"method": "none"}},
        {"calibration": [{"messages": 100}]},
        {"reference": {"predicted_shares": ["a", "b"]}},
        {"reference": {"unseen": {"mean": 0.1, "deviation": None}}},
    ],
)
def test_card_with_unreadable_details_gives_no_thresholds(details: Any) -> None:
    labels = Counter(labels=40, right=20, messages=400)
    quality = assess({"version": "v", "details": details}, "v", answers(400), labels)
    assert quality.messages == 400
    assert not any(signal.past for signal in quality.signals.values())


def test_text_in_place_of_a_section_leaves_other_sections_readable() -> None:
    card = {"details": {"data": "what people sent us", "metrics": {"accuracy": 0.9}}}
    reference = Reference.of(card)
    assert (reference.messages, reference.accuracy) == (0, 0.9)


def test_card_with_one_calibration_bin_has_no_variance() -> None:
    card = {"details": {"calibration": [{"messages": 100, "confidence": 0.97}]}}
    signal = assess(card, "v", answers(400), NOBODY).signals["estimated_accuracy"]
    assert signal.threshold == pytest.approx(0.92)


def test_card_without_reference_gives_values_without_thresholds() -> None:
    labels = Counter(labels=40, right=20, messages=400)
    quality = assess({"details": {}}, "v", answers(400), labels)
    assert set(quality.signals) == {"accuracy", "estimated_accuracy", "abstention", "unseen"}
    assert all(signal.threshold is None for signal in quality.signals.values())
    assert not any(signal.past for signal in quality.signals.values())
