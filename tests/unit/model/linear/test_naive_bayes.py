"""Naive Bayes: the same guesses as scikit-learn's, in blocks of authors and slices of columns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import random_array
from sklearn.naive_bayes import MultinomialNB

from model.linear import machine, naive_bayes
from model.linear.design import Design
from model.linear.naive_bayes import NaiveBayes

SMOOTHING = 0.01
MATRIX = random_array(
    (60, 40), density=0.3, rng=np.random.default_rng(0), dtype=np.float32, format="csr"
)
LABELS = np.arange(60) % 4


@pytest.fixture
def design() -> Design:
    return Design(MATRIX.indices, MATRIX.data, MATRIX.indptr)


@pytest.fixture
def fitted(design: Design) -> NaiveBayes:
    return naive_bayes.fit(design, LABELS, 4, SMOOTHING)


def scores(fitted: NaiveBayes, design: Design) -> torch.Tensor:
    return fitted.scores(design, design.others(MATRIX.indices, MATRIX.data, MATRIX.indptr))


def test_differences_of_scores_are_those_of_scikit_learn(
    fitted: NaiveBayes, design: Design
) -> None:
    reference = MultinomialNB(alpha=SMOOTHING, fit_prior=False).fit(MATRIX, LABELS)
    expected = reference.predict_joint_log_proba(MATRIX)
    found = scores(fitted, design).numpy()
    np.testing.assert_allclose(
        found - found.mean(1, keepdims=True), expected - expected.mean(1, keepdims=True), atol=1e-4
    )


def test_blocks_of_authors_change_no_score(
    fitted: NaiveBayes, design: Design, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = scores(fitted, design)
    monkeypatch.setattr(machine, "BLOCK_BYTES", 1)
    assert len(list(machine.blocks_of(design, 4))) == 4
    torch.testing.assert_close(scores(fitted, design), together)


def test_slices_of_columns_are_those_of_the_table(fitted: NaiveBayes, design: Design) -> None:
    torch.testing.assert_close(fitted.table(design, 5, 12), fitted.table(design)[5:12])


def test_table_is_for_values_before_a_reweighting(design: Design) -> None:
    factors = np.linspace(0.5, 2, design.columns, dtype=np.float32)
    weighted = design.reweighted(factors)
    fitted = naive_bayes.fit(weighted, LABELS, 4, SMOOTHING)
    table = fitted.table(weighted)
    torch.testing.assert_close(scores(fitted, weighted), design.scores(table))


def test_scores_of_an_author_without_texts_are_finite(design: Design) -> None:
    fitted = naive_bayes.fit(design, LABELS, 5, SMOOTHING)
    assert torch.isfinite(scores(fitted, design)).all()
