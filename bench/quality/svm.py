"""The reference for Byline's model: a support vector machine, tuned on the training documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion, make_union
from sklearn.svm import LinearSVC

from model.training import evaluation
from model.training.corpus import HELD_OUT_FOLD, TRAINING_FOLDS, TUNING_FOLD, Corpus
from model.training.evaluation import Classes, Floats

#: The penalties that are compared on the tuning fold. In the loss, a penalty is the factor of half
#: the squared norm of the weights.
PENALTIES = (0.1, 0.3, 1.0)
#: The weight of a text in the loss is n ** -BALANCE if its author has n texts.
BALANCE = 0.6
#: A token: a run of letters, digits and underscores, or one other character, not white space.
TOKEN = r"\w+|[^\w\s]"


class Reference(NamedTuple):
    """The quality of the tuned SVM on the held-out messages, and the penalty that tuning chose."""

    accuracy: float
    macro_f1: float
    calibration_error: float
    #: The item of ``PENALTIES`` that is best on the tuning fold.
    penalty: float


def measure(corpus: Corpus) -> Reference:
    """Tunes, fits and calibrates the SVM, and measures its quality on the held-out messages."""
    rest = [fold for fold in TRAINING_FOLDS if fold != TUNING_FOLD]
    tuning, labels = _scores(corpus, rest, TUNING_FOLD, PENALTIES), corpus.labels(TUNING_FOLD)
    penalty = max(PENALTIES, key=lambda p: _macro_f1(tuning[p], labels))
    divisor = evaluation.fit_temperature(tuning[penalty], labels)
    scores = _scores(corpus, TRAINING_FOLDS, HELD_OUT_FOLD, [penalty])[penalty]
    right = corpus.labels(HELD_OUT_FOLD)
    summary = evaluation.summary(evaluation.softmax(scores / divisor), right, 0.0)
    return Reference(
        summary["accuracy"], summary["macro_f1"], summary["calibration_error"], penalty
    )


def _scores(
    corpus: Corpus, folds: Sequence[int], fold: int, penalties: Sequence[float]
) -> dict[float, Floats]:
    """Fits an SVM to the texts in ``folds`` with each penalty, and scores the texts in ``fold``.

    A fold is a numbered part of the corpus. Returns a mapping from penalty to scores. The scores
    are an array with a row for each text in ``fold``, and a column for each author.
    """
    blocks = _blocks()
    fitted = csr_matrix(blocks.fit_transform(corpus.texts(*folds)))
    others = csr_matrix(blocks.transform(corpus.texts(fold)))
    labels = corpus.labels(*folds)
    weights = np.bincount(labels)[labels] ** -BALANCE
    scores = {}
    for penalty in penalties:
        machine = LinearSVC(C=1 / penalty, random_state=0)
        machine.fit(fitted, labels, weights / weights.mean())
        found = machine.decision_function(others)
        scores[penalty] = found if found.ndim == 2 else np.stack([-found, found], 1)
    return scores


def _blocks() -> FeatureUnion:
    """Returns the TF-IDF features: a block for each size of character n-grams and word n-grams.

    In each block, the features of a text have norm 1.
    """
    kinds = [("char", n) for n in (2, 3, 4, 5)] + [("word", n) for n in (1, 2)]
    return make_union(
        *(
            TfidfVectorizer(
                analyzer=kind,
                ngram_range=(n, n),
                token_pattern=TOKEN if kind == "word" else None,
                lowercase=False,
                sublinear_tf=True,
                min_df=2,
                dtype=np.float32,
            )
            for kind, n in kinds
        )
    )


def _macro_f1(scores: Floats, labels: Classes) -> float:
    return evaluation.macro_f1(labels, scores.argmax(1), scores.shape[1])
