"""The metrics, the temperature and the threshold of a trained model."""

from __future__ import annotations

import numpy as np
import pytest

from model.training import evaluation


def test_macro_f1_leaves_out_absent_authors() -> None:
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    # F1 of author 0: 2/3; of author 1: 4/5. Author 2 is in neither array.
    assert evaluation.macro_f1(labels, predicted, 3) == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_calibration_error_weighs_the_gap_of_each_bin_by_its_messages() -> None:
    confidence = np.array([0.9, 0.9, 0.5, 0.5])
    right = np.array([True, False, True, False])
    # The gap is 0.4 for one half of the messages, and 0 for the other half.
    assert evaluation.calibration_error(confidence, right) == pytest.approx(0.2)
    assert [b["messages"] for b in evaluation.calibration_bins(confidence, right)] == [2, 2]


def test_temperature_reverses_a_scaling_of_the_logits() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(4000, 5))
    chances = evaluation.softmax(logits)
    labels = np.array([generator.choice(5, p=row) for row in chances])
    assert evaluation.fit_temperature(logits * 7, labels) == pytest.approx(7, rel=0.15)


def test_threshold_is_the_lowest_with_the_target_accuracy() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    right = np.array([True, True, False, True, False])
    assert evaluation.fit_threshold(confidence, right) == 0.6
    assert evaluation.fit_threshold(confidence, np.zeros(5, bool)) == 0.9
    assert evaluation.fit_threshold(np.array([0.99996]), np.zeros(1, bool)) <= 0.99996


def test_threshold_is_zero_when_all_predictions_reach_the_target() -> None:
    confidence = np.array([1.0, 0.9999, 0.9998, 0.9997])
    assert evaluation.fit_threshold(confidence, np.array([True, True, True, False])) == 0.0


def test_few_messages_give_no_certainty_although_all_are_right() -> None:
    logits, labels = np.eye(3)[[0, 1, 2] * 3] * 2.0, np.array([0, 1, 2] * 3)
    confidence = evaluation.softmax(logits / evaluation.fit_temperature(logits, labels)).max(1)
    assert (confidence < 0.95).all()
    many, all_right = np.tile(logits, (1000, 1)), np.tile(labels, 1000)
    surer = evaluation.softmax(many / evaluation.fit_temperature(many, all_right)).max(1)
    assert (surer > 0.999).all()


def test_summary_of_a_perfect_model_has_no_errors() -> None:
    found = evaluation.summary(np.eye(3), np.arange(3), 0.5)
    assert found["accuracy"] == found["macro_f1"] == found["coverage_at_threshold"] == 1
    assert found["calibration_error"] == 0


def test_confusions_are_sorted_by_frequency() -> None:
    labels, predicted = np.array([0, 0, 1, 2]), np.array([1, 1, 0, 2])
    assert evaluation.confusions(labels, predicted, 5) == [(0, 1, 2), (1, 0, 1)]


def test_authors_with_a_low_f1_are_hardly_found_unless_they_are_absent() -> None:
    # Author 0 is found, author 1 never, author 2 once in 20, and author 3 is in no label.
    labels = np.array([0] * 10 + [1] * 5 + [2] * 20)
    predicted = np.array([0] * 10 + [0] * 5 + [2] + [0] * 19)
    f1 = evaluation.f1_scores(labels, predicted, 4)
    assert f1[2] == pytest.approx(2 / 21)
    assert evaluation.hardly_found(labels, predicted, 4) == [1, 2]


def test_intervals_hold_the_accuracy_and_the_gap_to_the_confidence() -> None:
    right = np.array([True] * 30 + [False] * 10)
    found = evaluation.intervals(np.full(40, 0.9), right)
    low, high = found["accuracy"]
    assert low < 0.75 < high
    assert found["confidence_minus_accuracy"] == pytest.approx([0.9 - high, 0.9 - low], abs=1e-3)


def test_summary_has_the_share_of_the_commonest_author() -> None:
    found = evaluation.summary(np.eye(3)[[0, 1, 1, 2, 0]], np.array([1, 1, 1, 2, 0]), 0.5)
    assert found["share_of_commonest_author"] == 0.6


@pytest.mark.parametrize("scale", [0.05, 1.0, 15.0])
def test_temperature_is_the_best_of_all_that_are_tried(scale: float) -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(size=(300, 4))
    labels = np.array([generator.choice(4, p=row) for row in evaluation.softmax(logits)])
    scaled = logits * scale
    best = min(evaluation.TEMPERATURES, key=lambda t: evaluation.log_loss(scaled / t, labels))
    assert evaluation.fit_temperature(scaled, labels) == pytest.approx(best)
