"""Fits of the n-gram model: folding changes no scores, and unseen n-grams have no weight."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from model.ngram import counting, fitting, training
from model.ngram.counting import count_all, inverse_document_frequency, known_ngrams, select
from model.ngram.features import CHARACTERS
from model.ngram.fitting import ALL, BAYES, TOKENS, Fitter, Texts
from model.ngram.parameters import Weights
from model.ngram.vocabulary import ROWS

TEXTS = [
    f"{opening} {number} {middle} {number * 7}"
    for number in range(12)
    for opening, middle in (("we shall", "gather at"), ("SHIP IT", "now!"), ("o moon", "o'er"))
]
OTHERS = ["we gather at the sea", "ship IT now, 3", "thou moon", ""]


@pytest.fixture(scope="module")
def texts() -> Iterator[Texts]:
    """Yields texts that count as many, so that the n-grams of two texts are known."""
    numbers = np.arange(len(TEXTS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "MANY_TEXTS", len(TEXTS))
        known = known_ngrams(TEXTS)
        bags = count_all(TEXTS, known.vocabulary)
        yield Texts(bags, numbers % 3, numbers // 3 % 5, numbers != 4, *known, 3)


@pytest.fixture(scope="module")
def fitter(texts: Texts) -> Fitter:
    return Fitter(texts, (0, 1, 3, 4))


def test_part_has_the_texts_of_the_folds(texts: Texts) -> None:
    part = texts.part((1, 3))
    assert set(part.folds) == {1, 3}
    chosen = [text for text, fold in zip(TEXTS, texts.folds, strict=True) if fold in (1, 3)]
    for found, expected in zip(part.bags, count_all(chosen, texts.vocabulary), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_selection_of_all_texts_changes_nothing(texts: Texts) -> None:
    every = select(texts.bags, np.ones(len(TEXTS), np.bool_))
    for found, expected in zip(every, texts.bags, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_folded_mixture_serves_the_mixed_scores(fitter: Fitter) -> None:
    fitted = {ALL: fitter.fit(ALL, 1.0), TOKENS: fitter.fit(TOKENS, 0.3)}
    fitted |= {BAYES: fitter.fit(BAYES, 0.01)}
    offset = np.array([0.1, -0.2, 0.4])
    merged = fitter.merged(fitted, (0.7, 0.2, 0.1), offset)
    row_weights = torch.from_numpy(fitter.row_weights)
    known = fitter.texts.vocabulary
    weights = Weights(*merged, row_weights, known, torch.ones(1), torch.zeros(1))
    bags = count_all(OTHERS, known)
    apart = [fitter.scores(kind, each, bags) for kind, each in fitted.items()]
    expected = 0.7 * apart[0] + 0.2 * apart[1] + 0.1 * apart[2] + offset
    # The table has 8 bits for each weight.
    np.testing.assert_allclose(training.logits(weights, OTHERS), expected, atol=0.02)


def test_rows_that_occur_in_no_text_have_no_weight(fitter: Fitter) -> None:
    merged = fitter.merged({ALL: fitter.fit(ALL, 0.3)}, (1.0,), np.zeros(3))
    table = torch.ops.quantized.embedding_bag_byte_unpack(merged.table)
    assert table.shape == (ROWS, 3)
    used = torch.zeros(ROWS, dtype=torch.bool)
    used[torch.from_numpy(fitter.designs[ALL].features)] = True
    assert not table[~used].any()
    assert table[used].abs().sum(1).count_nonzero() > 0.9 * used.sum() > 0


def test_fit_recognises_its_texts(texts: Texts, fitter: Fitter) -> None:
    for kind in fitter.designs:
        scores = fitter.scores(kind, fitter.fit(kind, 0.01), texts.bags)
        assert (scores.argmax(1) == texts.labels).mean() > 0.95


def test_classifier_of_runs_of_tokens_ignores_the_spelling(fitter: Fitter) -> None:
    machine = fitter.fit(TOKENS, 0.3)
    bags = count_all(["we shall now", "WE SHALL NOW"], fitter.texts.vocabulary)
    same, shouted = fitter.scores(TOKENS, machine, bags) - machine.bias.numpy()
    # The norm of all values depends on the spelling, so the scores differ by a factor.
    np.testing.assert_allclose(same / shouted, (same / shouted)[0], rtol=0.02)
    assert abs(same).max() > 0.1


def test_texts_have_the_mean_squared_norm_1_for_each_classifier(fitter: Fitter) -> None:
    for design in fitter.designs.values():
        assert design.mean_squares().sum() == pytest.approx(1, rel=1e-3)


def test_each_length_of_runs_of_tokens_counts_alike(fitter: Fitter) -> None:
    design = fitter.designs[TOKENS]
    kinds = fitter.texts.kinds[design.features]
    squares = np.bincount(kinds, design.mean_squares())
    np.testing.assert_allclose(squares[: len(CHARACTERS)], 0)
    np.testing.assert_allclose(squares[len(CHARACTERS) :], 1 / 3, rtol=1e-3)


def test_shares_count_every_author(texts: Texts) -> None:
    shares = texts._replace(authors=4).shares()
    assert shares.sum() == pytest.approx(1)
    assert (shares > 0).all()


def test_row_weights_of_a_kind_are_powers_of_the_inverse_document_frequency(
    texts: Texts, fitter: Fitter
) -> None:
    idf = inverse_document_frequency(texts.part((0, 1, 3, 4)).bags, 2)
    for kind in range(len(CHARACTERS)):
        rows = (texts.kinds == kind) & (idf > 0)
        ratios = fitter.row_weights[rows] / idf[rows] ** fitting.IDF_POWER
        np.testing.assert_allclose(ratios, ratios[0], rtol=1e-5)


def test_an_n_gram_that_one_text_of_a_fit_has_gets_no_weight(texts: Texts, fitter: Fitter) -> None:
    bags = fitter.texts.bags
    texts_with = np.bincount(bags.rows, minlength=ROWS)
    assert np.count_nonzero(texts_with == 1) > 0
    assert not fitter.row_weights[texts_with < 2].any()
    assert fitter.row_weights[texts_with >= 2].all()
