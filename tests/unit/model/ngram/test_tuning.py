"""Tuning: which folds are left out, which values are chosen, and where the final fit starts."""

from __future__ import annotations

import numpy as np
import pytest

from model.ngram import tuning
from model.ngram.counting import count_all, rows_of_tokens
from model.ngram.fitting import ALL, TOKENS, Fitter, Texts
from model.training.corpus import TRAINING_FOLDS, TUNING_FOLD

WORDS = (
    "perhaps the garden was quiet and green before anyone had woken",
    "ship it now deadline budget quarter boss meeting again please",
    "o moon thou silver lantern over yon trembling hollow sea",
)


@pytest.fixture(scope="module")
def texts() -> Texts:
    chance = np.random.default_rng(0)
    labels = np.arange(72) % 3
    # Every third word is of another author, so that no fit is right about all texts.
    written = [
        " ".join(
            chance.choice(WORDS[label if number % 3 else chance.integers(3)].split())
            for number in range(7)
        )
        for label in labels
    ]
    folds = np.array(TRAINING_FOLDS)[np.arange(72) // 3 % 4]
    bags = count_all(written)
    is_new = np.arange(72) % 20 != 0
    return Texts(bags, labels, folds, is_new, rows_of_tokens(written, bags), 3)


def test_folds_without_messages_are_not_left_out(texts: Texts) -> None:
    tuned = tuning.tune(texts.part((0, 1)), lambda _: None)
    assert set(tuned.folds) == {0, 1}


def test_large_corpora_have_fewer_candidates_and_leave_out_one_fold(
    texts: Texts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "LARGE", len(texts.labels))
    monkeypatch.setattr(tuning, "ENOUGH_TUNING", len(texts.labels) // 4)
    shares: list[float] = []
    tuned = tuning.tune(texts, shares.append)
    assert shares == [0.5, 1.0]  # two kinds, one penalty each, one fold
    assert tuned.penalties.items() <= {ALL: 1.0, TOKENS: 1.0}.items()
    assert set(tuned.folds) == {TUNING_FOLD}


def test_a_small_tuning_fold_of_a_large_corpus_does_not_decide_alone(
    texts: Texts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "LARGE", len(texts.labels))
    monkeypatch.setattr(tuning, "ENOUGH_TUNING", len(texts.labels) // 4 + 1)
    assert set(tuning.tune(texts, lambda _: None).folds) == set(TRAINING_FOLDS)


def test_choices_rest_on_scores_from_fits_without_these_messages(texts: Texts) -> None:
    shares: list[float] = []
    tuned = tuning.tune(texts, shares.append)
    assert shares == sorted(shares)
    assert tuned.penalties.keys() <= {ALL, TOKENS}
    assert shares[-1] == 1
    assert sorted(tuned.folds) == sorted(texts.folds)
    assert np.count_nonzero(tuned.used) == np.count_nonzero(texts.is_new) < len(texts.labels)
    fold = TRAINING_FOLDS[0]
    fitter = Fitter(texts, TRAINING_FOLDS[1:])
    left_out = texts.part([fold])
    share = len(fitter.texts.labels) / len(texts.labels)
    scores = [
        fitter.scores(kind, fitter.fit(kind, share * penalty), left_out.bags)
        for kind, penalty in tuned.penalties.items()
    ]
    expected = tuned.mixture.mixed(scores)
    np.testing.assert_allclose(tuned.scores[tuned.folds == fold], expected, atol=0.1)
    np.testing.assert_array_equal(tuned.labels[tuned.folds == fold], left_out.labels)


def test_choices_rest_on_all_messages_if_few_are_new(texts: Texts) -> None:
    tuned = tuning.tune(texts._replace(is_new=np.arange(72) % 20 == 0), lambda _: None)
    assert tuned.used.all()


def test_each_penalty_is_one_of_its_kind(texts: Texts) -> None:
    tuned = tuning.tune(texts, lambda _: None)
    for kind, penalty in tuned.penalties.items():
        assert penalty in tuning.PENALTIES[kind]


def test_final_fit_starts_from_the_coefficients_of_the_tuning(texts: Texts) -> None:
    tuned = tuning.tune(texts, lambda _: None)
    kind = next(iter(tuned.penalties))
    start = tuned.start(texts, kind)
    assert start.shape == (len(texts.labels), 3)
    left_out = ~np.isin(texts.folds, tuned.fitted)
    assert left_out.any()
    assert not start[left_out].any()
    np.testing.assert_array_equal(start[~left_out], tuned.starts[kind])


def test_each_kind_may_serve_alone() -> None:
    both = {ALL: 1.0, TOKENS: 0.3}
    assert tuning._subsets(both) == [both, {ALL: 1.0}, {TOKENS: 0.3}]
    assert tuning._subsets({TOKENS: 0.3}) == [{TOKENS: 0.3}]
