"""Training of the n-gram model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress

from model import card
from model.ngram import classifier, features, novelty, parameters
from model.ngram.fit import EPOCHS, LEARNING_RATE, bags_of, fit
from model.training import baseline, evaluation
from model.training.corpus import HELD_OUT_FOLD, TRAINING_FOLDS, TUNING_FOLD, Corpus
from model.types import ModelCard


def train(corpus: Corpus, out: Path, seed: int, with_baseline: bool, bar: Progress) -> ModelCard:
    """Fit, calibrate, measure on the held-out messages, and write weights and card to ``out``."""
    began = time.monotonic()
    divisor, cutoff = _calibrated(corpus, seed, bar)
    made = fitted(corpus, TRAINING_FOLDS, seed, bar, "all training data", divisor)
    fitting_s = time.monotonic() - began
    compared = _baseline(corpus, seed, bar) if with_baseline else {}
    probabilities = evaluation.softmax(logits(made, corpus.texts(HELD_OUT_FOLD)) / divisor)
    details = {
        "data": corpus.description,
        **card.quality(
            probabilities,
            corpus.labels(HELD_OUT_FOLD),
            corpus.authors,
            cutoff,
            unseen(corpus, made),
        ),
        "baseline": compared,
        "use": card.USE,
        "training": _facts(seed, divisor) | card.made_with(fitting_s),
    }
    version = made.version(corpus.authors, cutoff)
    result = ModelCard("hashed n-grams", version, corpus.authors, cutoff, details)
    out.mkdir(parents=True, exist_ok=True)
    made.write(out)
    card.write(result, out)
    return result


def fitted(
    corpus: Corpus,
    folds: Sequence[int],
    seed: int,
    bar: Progress,
    name: str,
    divisor: float = 1.0,
) -> parameters.Weights:
    """Return the model fitted on some folds; ``divisor`` is its temperature."""
    task = bar.add_task(f"n-grams, {name}", total=1.0)
    linear = fit(
        bags_of(corpus.texts(*folds)),
        corpus.labels(*folds),
        len(corpus.authors),
        seed,
        lambda share: bar.update(task, completed=share),
    )
    return parameters.Weights(
        parameters.pack(linear.table),
        linear.bias,
        torch.from_numpy(linear.idf),
        torch.tensor([divisor], dtype=torch.float32),
    )


def unseen(corpus: Corpus, made: parameters.Weights) -> dict[str, float]:
    """Return how much of the held-out messages is new to the model."""
    new = novelty.never_seen(made.idf.numpy(), len(corpus.labels(*TRAINING_FOLDS)))
    return novelty.reference(corpus.texts(HELD_OUT_FOLD), new)


def logits(made: parameters.Weights, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the logits before calibration, as the served model computes them on the CPU."""
    idf, rows = made.idf.numpy(), []
    for start in range(0, len(texts), classifier.MESSAGES[-1]):
        bags = features.count(texts[start : start + classifier.MESSAGES[-1]])
        batch = classifier.ragged(bags, bags.values(idf))
        rows.append(classifier.bag_sum(made.table, batch) + made.bias)
    return torch.cat(rows).double().numpy()


def _calibrated(corpus: Corpus, seed: int, bar: Progress) -> tuple[float, float]:
    """Return temperature and threshold, from a model that has not seen the tuning fold."""
    rest = [fold for fold in TRAINING_FOLDS if fold != TUNING_FOLD]
    scores = logits(fitted(corpus, rest, seed, bar, "to calibrate"), corpus.texts(TUNING_FOLD))
    return evaluation.calibrate(scores, corpus.labels(TUNING_FOLD))


def _baseline(corpus: Corpus, seed: int, bar: Progress) -> dict[str, Any]:
    task = bar.add_task("baseline, LinearSVC", total=None)
    measured = baseline.measure(
        corpus.texts(*TRAINING_FOLDS),
        corpus.labels(*TRAINING_FOLDS),
        corpus.texts(HELD_OUT_FOLD),
        corpus.labels(HELD_OUT_FOLD),
        seed,
    )
    bar.update(task, total=1, completed=1)
    return {"name": baseline.NAME, **measured}


def _facts(seed: int, divisor: float) -> dict[str, Any]:
    return {
        "model": "linear, squared hinge loss one against the rest, class-balanced, Adam",
        "features": features.PREPROCESSING,
        "epochs": EPOCHS,
        "learning_rate": LEARNING_RATE,
        "seed": seed,
        "temperature": round(divisor, 5),
        "calibration": card.CALIBRATION,
        "threshold_rule": card.THRESHOLD,
    }
