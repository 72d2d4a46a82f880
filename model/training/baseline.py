"""The baseline that a model has to beat: scikit-learn's LinearSVC on TF-IDF, with its defaults."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC

from model.training import evaluation

#: Name of the baseline in the model card.
NAME = "LinearSVC on TF-IDF of character 2-5-grams and word 1-2-grams"


def measure(
    texts: Sequence[str],
    labels: NDArray[np.int64],
    held_out: Sequence[str],
    held_out_labels: NDArray[np.int64],
    seed: int,
) -> dict[str, float]:
    """Fits the baseline to the training messages; returns its metrics on the held-out messages.

    The keys are ``accuracy`` and ``macro_f1``.
    """
    pipeline = make_pipeline(
        make_union(
            TfidfVectorizer(analyzer="char", ngram_range=(2, 5)),
            TfidfVectorizer(ngram_range=(1, 2)),
        ),
        LinearSVC(random_state=seed),
    )
    predicted = pipeline.fit(texts, labels).predict(held_out)
    authors = int(labels.max()) + 1
    return {
        "accuracy": round(float((predicted == held_out_labels).mean()), 4),
        "macro_f1": round(evaluation.macro_f1(held_out_labels, predicted, authors), 4),
    }
