from __future__ import annotations

import numpy as np
import pytest

from model.training import evaluation


def test_macro_f1_is_the_mean_over_the_authors_seen() -> None:
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    # F1 of 0: 2/3; of 1: 4/5. Author 2 is neither there nor named.
    assert evaluation.macro_f1(labels, predicted, 3) == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_calibration_error_weighs_the_gap_of_each_bin() -> None:
    confidence = np.array([0.9, 0.9, 0.5, 0.5])
    right = np.array([True, False, True, False])
    # |0.5 - 0.9| in one half of the messages, nothing in the other.
    assert evaluation.calibration_error(confidence, right) == pytest.approx(0.2)
    assert [b["messages"] for b in evaluation.calibration(confidence, right)] == [2, 2]


def test_the_temperature_undoes_a_scale() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(4000, 5))
    chances = evaluation.softmax(logits)
    labels = np.array([generator.choice(5, p=row) for row in chances])
    assert evaluation.temperature(logits * 7, labels) == pytest.approx(7, rel=0.15)


def test_the_threshold_is_the_lowest_that_is_right_often_enough() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    right = np.array([True, True, False, True, False])
    assert evaluation.threshold(confidence, right) == 0.6
    assert evaluation.threshold(confidence, np.zeros(5, bool)) == 0.9
    assert evaluation.threshold(np.array([0.99996]), np.zeros(1, bool)) <= 0.99996


def test_a_model_that_is_right_often_enough_always_answers() -> None:
    confidence = np.array([1.0, 0.9999, 0.9998, 0.9997])
    assert evaluation.threshold(confidence, np.array([True, True, True, False])) == 0.0


def test_few_messages_make_no_certainty_though_all_are_right() -> None:
    logits, labels = np.eye(3)[[0, 1, 2] * 3] * 2.0, np.array([0, 1, 2] * 3)
    confidence = evaluation.softmax(logits / evaluation.temperature(logits, labels)).max(1)
    assert (confidence < 0.95).all()
    many, all_right = np.tile(logits, (1000, 1)), np.tile(labels, 1000)
    surer = evaluation.softmax(many / evaluation.temperature(many, all_right)).max(1)
    assert (surer > 0.999).all()


def test_the_summary_of_a_perfect_model() -> None:
    found = evaluation.summary(np.eye(3), np.arange(3), 0.5)
    assert found["accuracy"] == found["macro_f1"] == found["coverage_at_threshold"] == 1
    assert found["calibration_error"] == 0


def test_confusions_come_commonest_first() -> None:
    labels, predicted = np.array([0, 0, 1, 2]), np.array([1, 1, 0, 2])
    assert evaluation.confusions(labels, predicted, 5) == [(0, 1, 2), (1, 0, 1)]
