"""The baseline: its features keep case, its penalty is chosen, and all figures are measured."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_union
from sklearn.svm import LinearSVC

from model.linear import solver
from model.linear.balance import importance
from model.training import baseline
from model.training.corpus import HELD_OUT_FOLD, TRAINING_FOLDS, Corpus, Message


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """Returns messages of two authors who differ in case only, and of a third."""
    chance, words = (
        random.Random(0),
        ["ship", "it", "now", "the", "boss", "asks", "again", "and", "again"],
    )
    messages = [
        Message(write(" ".join(chance.choices(words, k=6))), author, number % 5)
        for number in range(40)
        for author, write in (("Ann", str.lower), ("Bob", str.upper), ("Cy", "{} thou".format))
    ]
    return Corpus(messages, ("Ann", "Bob", "Cy"), {})


def test_baseline_tells_authors_apart_by_case(corpus: Corpus) -> None:
    found = baseline.measure(corpus)
    assert found["accuracy"] > 0.9
    assert found["macro_f1"] > 0.9
    assert found["tuning_accuracy"] > 0.9
    assert found["tuning_macro_f1"] > 0.9
    assert found["penalty"] in baseline.PENALTIES


def test_baseline_is_as_good_as_linear_svc(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver, "TOLERANCE", 1e-5)
    monkeypatch.setattr(baseline, "PENALTIES", (1.0,))
    chance = random.Random(1)
    # Some messages get another author, so that neither is right about all.
    messages = [
        m if chance.random() < 0.8 else Message(m.text, chance.choice(corpus.authors), m.fold)
        for m in corpus.messages
    ]
    noisy = Corpus(messages, corpus.authors, {})
    union = make_union(
        TfidfVectorizer(analyzer="char", ngram_range=(2, 5), lowercase=False),
        TfidfVectorizer(ngram_range=(1, 2), lowercase=False),
    )
    features = csr_matrix(union.fit_transform(noisy.texts(*TRAINING_FOLDS)))
    labels = noisy.labels(*TRAINING_FOLDS)
    machine = LinearSVC(intercept_scaling=1.0, tol=1e-6, max_iter=100_000)
    machine.fit(features, labels, sample_weight=importance(labels)[:, 0].numpy())
    expected = machine.predict(union.transform(noisy.texts(HELD_OUT_FOLD)))
    accuracy = (expected == noisy.labels(HELD_OUT_FOLD)).mean()
    assert 0.5 < accuracy < 1
    assert baseline.measure(noisy)["accuracy"] == pytest.approx(np.round(accuracy, 4), abs=0.05)
