"""Platt scaling: what the two numbers mean, and that the fit finds them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import check_grad

from model.training import evaluation, platt
from model.training.platt import SHIFTS, Platt


def drawn(true: Platt, messages: int = 4000) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Returns scores, and labels that are drawn from the probabilities of the scores."""
    chance = np.random.default_rng(1)
    scores = chance.normal(size=(messages, 12)) * 3 - 2
    bounds = true.probabilities(scores).cumsum(1)
    labels = (chance.uniform(size=(messages, 1)) > bounds).sum(1)
    return scores, np.minimum(labels, 11)


def error(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    right = probabilities.argmax(1) == labels
    return evaluation.calibration_error(probabilities.max(1), right)


def test_a_probability_is_a_share_of_the_sum_of_sigmoids() -> None:
    found = Platt(2.0, 0.5).probabilities(np.array([[1.0, -3.0]]))
    sigmoids = 1 / (1 + np.exp([-1.0, 1.0]))
    np.testing.assert_allclose(found, [sigmoids / sigmoids.sum()], atol=2 * evaluation.SLOPE)


def test_the_lowest_shift_gives_a_softmax() -> None:
    scores, _ = drawn(Platt(1.0, 0.0), 100)
    found = Platt(2.0, SHIFTS[0]).probabilities(scores)
    np.testing.assert_allclose(found, evaluation.softmax(scores / 2), atol=30 * evaluation.SLOPE)


@pytest.mark.parametrize("true", [Platt(1.0, 0.0), Platt(0.5, 3.0), Platt(2.0, -4.0)], ids=str)
def test_the_fit_is_calibrated_and_better_than_a_temperature(true: Platt) -> None:
    scores, labels = drawn(true)
    found = platt.fit(scores, labels)
    temperature = evaluation.fit_temperature(scores, labels)
    assert error(found.probabilities(scores), labels) < 0.03
    fitted, best, plain = (
        evaluation.log_loss(np.log(probabilities), labels)
        for probabilities in (
            found.probabilities(scores),
            true.probabilities(scores),
            evaluation.softmax(scores / temperature),
        )
    )
    assert fitted <= min(best, plain)


def test_a_temperature_alone_leaves_strong_shifts_badly_calibrated() -> None:
    scores, labels = drawn(Platt(0.5, 3.0))
    temperature = evaluation.fit_temperature(scores, labels)
    assert error(evaluation.softmax(scores / temperature), labels) > 0.03


def test_the_derivatives_are_those_of_the_loss() -> None:
    scores, labels = drawn(Platt(1.0, 0.0), 50)
    for numbers in ([0.0, 0.0], [0.5, 3.0], [-1.0, -4.0]):
        off = check_grad(
            lambda at: platt._loss(scores, labels, *at)[0],
            lambda at: platt._loss(scores, labels, *at)[1],
            np.array(numbers),
        )
        assert off < 1e-5


def test_large_scores_are_thinned_out_and_give_nearly_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores, labels = drawn(Platt(1.0, 0.0))
    whole = platt.fit(scores, labels)
    monkeypatch.setattr(platt, "_MAX_SCORES", scores.size // 2)
    some = platt.fit(scores, labels)
    assert some != whole
    np.testing.assert_allclose(some.probabilities(scores), whole.probabilities(scores), atol=0.05)


def test_the_threshold_is_that_of_the_calibrated_confidence() -> None:
    scores, labels = drawn(Platt(1.0, 0.0))
    found, threshold = platt.calibrate(scores, labels)
    assert found == platt.fit(scores, labels)
    probabilities = found.probabilities(scores)
    answered = probabilities.max(1) >= threshold
    right = (probabilities.argmax(1) == labels)[answered]
    assert right.mean() >= evaluation.TARGET_ACCURACY
    assert 0 < threshold < 1
