"""Tuning: which folds are left out, which values are chosen, and where the final fit starts."""

from __future__ import annotations

import numpy as np
import pytest

from model.ngram import tuning
from model.ngram.counting import count_all, known_ngrams
from model.ngram.fitting import ALL, BAYES, TOKENS, Fitter, Texts
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
    known = known_ngrams(written)
    bags = count_all(written, known.vocabulary)
    is_new = np.arange(72) % 20 != 0
    return Texts(bags, labels, folds, is_new, *known, 3)


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
    assert shares == pytest.approx([1 / 3, 2 / 3, 1])  # three kinds, one penalty each, one fold
    assert tuned.penalties.items() <= {ALL: 1.0, TOKENS: 1.0, BAYES: 0.001}.items()
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
    assert tuned.penalties.keys() <= {ALL, TOKENS, BAYES}
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


def test_final_fit_starts_from_the_coefficients_of_the_tuning(
    texts: Texts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "PENALTIES", {TOKENS: (1.0, 0.3)})
    tuned = tuning.tune(texts, lambda _: None)
    start = tuned.start(texts, TOKENS)
    assert start is not None
    assert start.shape == (len(texts.labels), 3)
    left_out = ~np.isin(texts.folds, tuned.fitted)
    assert left_out.any()
    assert not start[left_out].any()
    np.testing.assert_array_equal(start[~left_out], tuned.starts[TOKENS])


def test_naive_bayes_may_serve_alone_and_has_no_start(
    texts: Texts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "PENALTIES", {BAYES: (0.01,)})
    tuned = tuning.tune(texts, lambda _: None)
    assert tuned.penalties == {BAYES: 0.01}
    assert tuned.start(texts, BAYES) is None


def test_every_choice_of_kinds_may_serve(texts: Texts, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[dict[str, float]] = []

    def mixed(_trials: object, penalties: dict[str, float], _shares: object) -> object:
        tried.append(penalties)
        return found(_trials, penalties, _shares)

    found = tuning._mixed
    monkeypatch.setattr(tuning, "_mixed", mixed)
    monkeypatch.setattr(tuning, "PENALTIES", {ALL: (1.0,), TOKENS: (0.3,), BAYES: (0.01,)})
    tuning.tune(texts, lambda _: None)
    chosen = {tuple(sorted(penalties)) for penalties in tried}
    assert len(chosen) == 7
