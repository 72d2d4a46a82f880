"""Fits of the n-gram model: folding changes no scores, and unseen n-grams have no weight."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.ngram import fitting, training
from model.ngram.counting import count_all, inverse_document_frequency, select
from model.ngram.features import ROWS
from model.ngram.fitting import Fitter, Texts
from model.ngram.parameters import Weights

TEXTS = [
    f"{opening} {number} {middle} {number * 7}"
    for number in range(12)
    for opening, middle in (("we shall", "gather at"), ("SHIP IT", "now!"), ("o moon", "o'er"))
]
OTHERS = ["we gather at the sea", "ship IT now, 3", "thou moon", ""]


@pytest.fixture(scope="module")
def texts() -> Texts:
    numbers = np.arange(len(TEXTS))
    return Texts(count_all(TEXTS), numbers % 3, numbers // 3 % 5, numbers != 4, 3)


@pytest.fixture(scope="module")
def fitter(texts: Texts) -> Fitter:
    return Fitter(texts, (0, 1, 3, 4))


def test_part_has_the_texts_of_the_folds(texts: Texts) -> None:
    part = texts.part((1, 3))
    assert set(part.folds) == {1, 3}
    chosen = [text for text, fold in zip(TEXTS, texts.folds, strict=True) if fold in (1, 3)]
    for found, expected in zip(part.bags, count_all(chosen), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_selection_of_all_texts_changes_nothing(texts: Texts) -> None:
    every = select(texts.bags, np.ones(len(TEXTS), np.bool_))
    for found, expected in zip(every, texts.bags, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_folded_mixture_serves_the_mixed_scores(fitter: Fitter) -> None:
    machines = [fitter.fit("squared hinge", 1.0), fitter.fit("logistic", 0.03)]
    offset = np.array([0.1, -0.2, 0.4])
    folded = fitting.mixed(machines, (0.7, 0.2), offset)
    weights = Weights(
        fitter.packed(folded),
        folded.bias,
        torch.from_numpy(fitter.row_weights),
        torch.ones(1),
    )
    bags = count_all(OTHERS)
    apart = [fitter.scores(each, bags) for each in machines]
    expected = 0.7 * apart[0] + 0.2 * apart[1] + offset
    # The table has 8 bits for each weight.
    np.testing.assert_allclose(training.logits(weights, OTHERS), expected, atol=0.01)


def test_rows_that_occur_in_no_text_have_no_weight(fitter: Fitter) -> None:
    packed = fitter.packed(fitter.fit("logistic", 0.03))
    table = torch.ops.quantized.embedding_bag_byte_unpack(packed)
    assert table.shape == (ROWS, 3)
    used = torch.zeros(ROWS, dtype=torch.bool)
    used[torch.from_numpy(fitter.design.features)] = True
    assert not table[~used].any()
    assert table[used].abs().sum(1).count_nonzero() > 0.9 * used.sum()


def test_fit_recognises_its_texts(texts: Texts, fitter: Fitter) -> None:
    for loss in fitting.LOSSES:
        scores = fitter.scores(fitter.fit(loss, 0.01), texts.bags)
        assert (scores.argmax(1) == texts.labels).mean() > 0.95


def test_shares_count_every_author(texts: Texts) -> None:
    shares = texts._replace(authors=4).shares()
    assert shares.sum() == pytest.approx(1)
    assert (shares > 0).all()


def test_row_weights_are_powers_of_the_inverse_document_frequency(
    texts: Texts, fitter: Fitter
) -> None:
    idf = inverse_document_frequency(texts.part((0, 1, 3, 4)).bags)
    np.testing.assert_allclose(fitter.row_weights, idf**fitting.IDF_POWER, rtol=1e-6)
