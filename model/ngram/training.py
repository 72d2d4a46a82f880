"""Trains the n-gram model: fits, calibrates and measures it, and writes its weights and card."""

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
from model.ngram.fit import EPOCHS, LEARNING_RATE, count_all, fit
from model.training import evaluation
from model.training.corpus import HELD_OUT_FOLD, TRAINING_FOLDS, TUNING_FOLD, Corpus
from model.types import ModelCard


def train(corpus: Corpus, out: Path, seed: int, progress: Progress) -> ModelCard:
    """Trains the n-gram model, measures it on the held-out messages, and writes it into ``out``.

    Creates the folder ``out`` if it does not exist. Returns the model's card, without the metrics
    of the baseline.
    """
    began = time.monotonic()
    temperature, threshold = _calibrated(corpus, seed, progress)
    weights = fitted(corpus, TRAINING_FOLDS, seed, progress, "all training data", temperature)
    fitting_s = time.monotonic() - began
    probabilities = evaluation.softmax(logits(weights, corpus.texts(HELD_OUT_FOLD)) / temperature)
    details = {
        "data": corpus.description,
        **card.quality_details(
            probabilities,
            corpus.labels(HELD_OUT_FOLD),
            corpus.authors,
            threshold,
            unseen(corpus, weights),
        ),
        "baseline": {},
        "use": card.USE,
        "training": _facts(seed, temperature) | card.training_environment(fitting_s),
    }
    version = weights.version(corpus.authors, threshold)
    result = ModelCard("hashed n-grams", version, corpus.authors, threshold, details)
    out.mkdir(parents=True, exist_ok=True)
    weights.write(out)
    card.write(result, out)
    return result


def fitted(
    corpus: Corpus,
    folds: Sequence[int],
    seed: int,
    progress: Progress,
    purpose: str,
    temperature: float = 1.0,
) -> parameters.Weights:
    """Returns the weights of an n-gram model fitted to the messages of these folds.

    The progress bar shows ``purpose``, such as "calibration".
    """
    task = progress.add_task(f"n-grams, {purpose}", total=1.0)
    linear = fit(
        count_all(corpus.texts(*folds)),
        corpus.labels(*folds),
        len(corpus.authors),
        seed,
        lambda share: progress.update(task, completed=share),
    )
    return parameters.Weights(
        parameters.pack(linear.table),
        linear.bias,
        torch.from_numpy(linear.idf),
        torch.tensor([temperature], dtype=torch.float32),
    )


def unseen(corpus: Corpus, weights: parameters.Weights) -> dict[str, float]:
    """Returns the mean and standard deviation of the held-out messages' shares of unseen n-grams.

    Unseen n-grams are those that no training message has. The model card stores both numbers.
    """
    is_unseen = novelty.unseen_rows(weights.idf.numpy(), len(corpus.labels(*TRAINING_FOLDS)))
    return novelty.reference(corpus.texts(HELD_OUT_FOLD), is_unseen)


def logits(weights: parameters.Weights, texts: Sequence[str]) -> NDArray[np.float64]:
    """Returns the logits of ``texts`` before calibration, shape (texts, authors).

    The function computes them as the served model does on the CPU.
    """
    idf, rows = weights.idf.numpy(), []
    size = classifier.GRID_TEXTS[-1]
    for start in range(0, len(texts), size):
        bags = features.count(texts[start : start + size])
        batch = classifier.ragged_batch(bags, bags.values(idf))
        rows.append(classifier.bag_sum(weights.table, batch) + weights.bias)
    return torch.cat(rows).double().numpy()


def _calibrated(corpus: Corpus, seed: int, progress: Progress) -> tuple[float, float]:
    """Returns the temperature and the threshold, fitted on the tuning fold of the messages.

    The temperature divides the logits. The threshold is the confidence below which the model names
    no author. To find both, this function fits a model to the other training folds, and runs this
    model on the tuning fold.
    """
    rest = [fold for fold in TRAINING_FOLDS if fold != TUNING_FOLD]
    weights = fitted(corpus, rest, seed, progress, "calibration")
    scores = logits(weights, corpus.texts(TUNING_FOLD))
    return evaluation.calibrate(scores, corpus.labels(TUNING_FOLD))


def _facts(seed: int, temperature: float) -> dict[str, Any]:
    """Returns the fields of the model card's section on training."""
    return {
        "model": "linear, squared hinge loss one against the rest, class-balanced, Adam",
        "features": features.PREPROCESSING,
        "epochs": EPOCHS,
        "learning_rate": LEARNING_RATE,
        "seed": seed,
        "temperature": round(temperature, 5),
        "calibration": card.CALIBRATION,
        "threshold_rule": card.THRESHOLD,
    }
