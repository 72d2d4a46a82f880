"""The baseline that models are compared with: a tuned linear support vector machine on TF-IDF."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_union

from model.linear import machine
from model.linear.design import Design
from model.linear.losses import SquaredHinge
from model.training import evaluation
from model.training.corpus import HELD_OUT_FOLD, TRAINING_FOLDS, TUNING_FOLD, Corpus
from model.training.evaluation import Classes

#: Name of the baseline in the model card.
NAME = "linear SVM on TF-IDF of character 2-5-grams and word 1-2-grams"
#: Penalties that the tuning fold chooses from: factors of half the squared norm of the weights.
#: scikit-learn's C is the inverse of a penalty.
PENALTIES = (1.0, 0.3)


class _Split(NamedTuple):
    """The TF-IDF features of the training messages and of the held-out messages."""

    training: csr_matrix
    held_out: csr_matrix


def measure(corpus: Corpus) -> dict[str, Any]:
    """Tunes the baseline, fits it to the training messages, and returns its metrics.

    The tuning fits the baseline to the training messages without one part, the tuning fold. On this
    part, it measures ``tuning_accuracy`` and ``tuning_macro_f1``, and chooses the ``penalty``.
    ``accuracy`` and ``macro_f1`` are measured on the held-out messages. The result has all five.
    """
    split, labels = _split(corpus), corpus.labels(*TRAINING_FOLDS)
    tuning = np.array([m.fold == TUNING_FOLD for m in corpus.part(*TRAINING_FOLDS)])
    train, test = split.training[~tuning], split.training[tuning]
    tried = {
        penalty: _measured(_predicted(train, labels[~tuning], test, penalty), labels[tuning])
        for penalty in PENALTIES
    }
    penalty = max(tried, key=lambda each: sum(tried[each]))
    found = _predicted(split.training, labels, split.held_out, penalty)
    accuracy, macro_f1 = _measured(found, corpus.labels(HELD_OUT_FOLD))
    return {
        "accuracy": round(accuracy, 4),
        "macro_f1": round(macro_f1, 4),
        "tuning_accuracy": round(tried[penalty][0], 4),
        "tuning_macro_f1": round(tried[penalty][1], 4),
        "penalty": penalty,
    }


def _split(corpus: Corpus) -> _Split:
    """Computes the TF-IDF features of the messages.

    The idf comes from all training messages. The tuning uses these features too, although their idf
    also counts the messages on which the tuning measures.
    """
    blocks = make_union(*(_vectorizer(*kind) for kind in (("char", 2, 5), ("word", 1, 2))))
    training = blocks.fit_transform(corpus.texts(*TRAINING_FOLDS))
    held_out = blocks.transform(corpus.texts(HELD_OUT_FOLD))
    return _Split(csr_matrix(training), csr_matrix(held_out))


def _vectorizer(analyzer: str, shortest: int, longest: int) -> TfidfVectorizer:
    return TfidfVectorizer(
        analyzer=analyzer, ngram_range=(shortest, longest), lowercase=False, dtype=np.float32
    )


def _predicted(train: csr_matrix, labels: Classes, test: csr_matrix, penalty: float) -> Classes:
    """Fits a support vector machine to ``train``, and predicts the author of each row of ``test``.

    Each row has the features of a text. Authors are numbers: ``labels`` has the author of each row
    of ``train``, and the result has the predicted author of each row of ``test``.
    """
    design = Design(train.indices, train.data, train.indptr)
    # This fit minimises the function that scikit-learn's LinearSVC minimises, but takes a fraction
    # of LinearSVC's time, because it fits all authors at once.
    fitted = machine.fit(design, labels, int(labels.max()) + 1, SquaredHinge(), penalty)
    others = design.others(test.indices, test.data, test.indptr)
    return np.asarray(fitted.scores(design, others).numpy().argmax(1))


def _measured(predicted: Classes, labels: Classes) -> tuple[float, float]:
    """Returns the accuracy and the macro-F1 of the predictions."""
    authors = int(max(predicted.max(), labels.max())) + 1
    return float((predicted == labels).mean()), evaluation.macro_f1(labels, predicted, authors)
