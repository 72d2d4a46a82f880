"""The mixture of several classifiers: factors, balance, and folding into one classifier."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from model.ngram import mixture
from model.training import evaluation

EVEN = np.full(4, 0.25)


def drawn(logits: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns labels that are drawn with the probabilities of these logits."""
    generator = np.random.default_rng(5)
    return np.array(
        [generator.choice(logits.shape[1], p=row) for row in evaluation.softmax(logits)]
    )


def test_factors_average_calibrated_scores() -> None:
    logits = np.random.default_rng(0).normal(size=(4000, 4)) * 2
    found = mixture.choose([logits * 5, logits / 10], drawn(logits), EVEN)
    # Calibrated, both scores are the logits.
    assert found.factors == pytest.approx((0.1, 5), rel=0.1)
    np.testing.assert_allclose(found.mixed([logits * 5, logits / 10]), logits, atol=0.8)


def test_balance_helps_rare_authors_that_the_scores_neglect() -> None:
    shares = np.array([0.91, 0.03, 0.03, 0.03])
    scores = np.random.default_rng(0).normal(size=(4000, 4)) * 2
    # Rare authors are as frequent as others here, but the scores were learned from the shares.
    labels = drawn(scores)
    learned = scores + 0.5 * np.log(shares)
    found = mixture.choose([learned], labels, shares)
    assert found.balance > 0
    gain = mixture.quality(found.mixed([learned]), labels) - mixture.quality(learned, labels)
    assert gain > 0.05
    np.testing.assert_allclose(found.offset, -found.balance * np.log(shares))


def test_scores_of_balanced_authors_get_no_offset() -> None:
    scores = np.random.default_rng(0).normal(size=(200, 4))
    found = mixture.choose([scores], drawn(scores), EVEN)
    assert found.balance == 0
    assert not found.offset.any()


def test_quality_is_the_mean_of_accuracy_and_macro_f1() -> None:
    scores = np.eye(3)[[0, 0, 1, 2]]
    # The F1 scores of the authors are 2/3, 2/3 and 1.
    labels = np.array([0, 1, 1, 2])
    assert mixture.quality(scores, labels) == pytest.approx((3 / 4 + (2 / 3 + 2 / 3 + 1) / 3) / 2)
