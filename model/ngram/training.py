"""Trains the n-gram model: tunes, fits and measures it, and writes its weights and card."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress

from model import card
from model.ngram import classifier, features, memory, novelty, parameters
from model.ngram.counting import count_all, known_ngrams
from model.ngram.fitting import IDF_POWER, Fitter, Texts
from model.ngram.tuning import LARGE, Tuned, tune
from model.training import evaluation
from model.training.corpus import HELD_OUT_FOLD, TRAINING_FOLDS, TUNING_FOLD, Corpus
from model.training.evaluation import Floats
from model.training.near_duplicates import near_duplicates
from model.types import ModelCard


class Trained(NamedTuple):
    """A trained model: its card, and the values that the transformer's training needs."""

    card: ModelCard
    weights: parameters.Weights
    #: Logits of the messages in the tuning fold, from fits without this fold: (messages, authors).
    tuning_logits: Floats


def check(corpus: Corpus) -> None:
    """Checks that the training fits into the memory.

    Raises:
        DataError: the training has too many n-grams, or needs more memory than is available. The
            error's text compares the need with the limit.
    """
    memory.check(corpus)


def train(corpus: Corpus, out: Path, seed: int, progress: Progress) -> ModelCard:
    """Trains the n-gram model, measures it on the held-out messages, and writes it into ``out``.

    Makes the folder ``out`` if it is missing. Returns the card, without the baseline's metrics. The
    result does not depend on ``seed``.
    """
    del seed  # the fit is not random
    return train_model(corpus, out, progress).card


def train_model(corpus: Corpus, out: Path, progress: Progress) -> Trained:
    """Trains the model as :func:`train` does.

    Returns the card, the weights, and the logits of the messages in the tuning fold.
    """
    began = time.monotonic()
    texts = _texts(corpus)
    tuned = tune(texts, _shown(progress, "n-grams, tuning"))
    weights = _fitted(texts, tuned, _shown(progress, "n-grams, all training data"))
    fitting_s = time.monotonic() - began
    threshold = tuned.threshold
    held_out = logits(weights, corpus.texts(HELD_OUT_FOLD))
    details = {
        "data": corpus.description,
        **card.quality_details(
            tuned.platt.probabilities(held_out),
            corpus.labels(HELD_OUT_FOLD),
            corpus.authors,
            threshold,
            unseen(corpus, weights),
        ),
        "baseline": {},
        "use": card.USE,
        "training": _facts(tuned) | card.training_environment(fitting_s),
    }
    version = weights.version(corpus.authors, threshold)
    result = ModelCard("hashed n-grams", version, corpus.authors, threshold, details)
    out.mkdir(parents=True, exist_ok=True)
    weights.write(out)
    card.write(result, out)
    return Trained(result, weights, tuned.scores[tuned.folds == TUNING_FOLD])


def unseen(corpus: Corpus, weights: parameters.Weights) -> dict[str, float]:
    """Returns the mean and standard deviation of the held-out messages' shares of unknown n-grams.

    The model card stores both numbers.
    """
    return novelty.reference(corpus.texts(HELD_OUT_FOLD), weights.vocabulary)


def logits(weights: parameters.Weights, texts: Sequence[str]) -> NDArray[np.float64]:
    """Returns the logits of ``texts`` before calibration, shape (texts, authors).

    The function computes the logits as the served model does on the CPU.
    """
    row_weights, known, rows = weights.row_weights.numpy(), weights.vocabulary, []
    size = classifier.GRID_TEXTS[-1]
    for start in range(0, len(texts), size):
        bags = features.count(texts[start : start + size], known)
        batch = classifier.ragged_batch(bags, bags.values(row_weights))
        rows.append(classifier.bag_sum(weights.table, batch) + weights.bias)
    return torch.cat(rows).double().numpy()


def _texts(corpus: Corpus) -> Texts:
    """Returns the n-grams, the authors and the folds of the training messages."""
    messages = corpus.part(*TRAINING_FOLDS)
    texts, folds = [m.text for m in messages], np.array([m.fold for m in messages])
    labels = corpus.labels(*TRAINING_FOLDS)
    # In a large corpus, the search would take too long, so all messages count as new.
    is_new = _are_new(texts, folds) if len(texts) < LARGE else np.ones(len(texts), np.bool_)
    known = known_ngrams(texts)
    bags = count_all(texts, known.vocabulary)
    return Texts(bags, labels, folds, is_new, *known, len(corpus.authors))


def _are_new(texts: Sequence[str], folds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Returns, for each text, True if it is no near duplicate of a text of another fold."""
    result = np.ones(len(texts), np.bool_)
    for fold in np.unique(folds):
        own = np.flatnonzero(folds == fold).tolist()
        others = (text for text, each in zip(texts, folds, strict=True) if each != fold)
        found = near_duplicates([texts[number] for number in own], others)
        result[[own[number] for number in found]] = False
    return result


def _fitted(texts: Texts, tuned: Tuned, on_progress: Callable[[float], None]) -> parameters.Weights:
    """Fits the chosen classifiers to all training messages. Returns the merged weights."""
    fitter = Fitter(texts, TRAINING_FOLDS)
    fitted = {}
    for number, (kind, penalty) in enumerate(tuned.penalties.items(), 1):
        fitted[kind] = fitter.fit(kind, penalty, tuned.start(texts, kind))
        on_progress(number / len(tuned.penalties))
    merged = fitter.merged(fitted, tuned.mixture.factors, tuned.mixture.offset)
    return parameters.Weights(
        merged.table,
        merged.bias,
        torch.from_numpy(fitter.row_weights),
        texts.vocabulary,
        torch.tensor([tuned.platt.temperature], dtype=torch.float32),
        torch.tensor([tuned.platt.shift], dtype=torch.float32),
    )


def _shown(progress: Progress, purpose: str) -> Callable[[float], None]:
    """Adds a bar for ``purpose``. Returns a function that sets the bar's filled share, 0 to 1."""
    task = progress.add_task(purpose, total=1.0)
    return lambda share: progress.update(task, completed=share)


def _facts(tuned: Tuned) -> dict[str, Any]:
    """Returns the fields of the model card's section on training."""
    part = tuned.folds == TUNING_FOLD  # the messages that the baseline is tuned on, too
    labels, predicted = tuned.labels[part], tuned.scores[part].argmax(1)
    macro_f1 = evaluation.macro_f1(labels, predicted, tuned.scores.shape[1])
    kinds = ", ".join(
        f"{kind} with penalty {penalty:g} (factor {factor:.4g})"
        for (kind, penalty), factor in zip(
            tuned.penalties.items(), tuned.mixture.factors, strict=True
        )
    )
    return {
        "model": "linear, squared hinge, one author against the rest, balanced; or naive Bayes; "
        f"mixed: {kinds}",
        "features": features.PREPROCESSING,
        "idf_power": IDF_POWER,
        "balance": round(tuned.mixture.balance, 2),
        "temperature": round(tuned.platt.temperature, 5),
        "shift": round(tuned.platt.shift, 5),
        "messages_chosen_on": int(np.count_nonzero(tuned.used)),
        "tuning_accuracy": round(float((predicted == labels).mean()), 4),
        "tuning_macro_f1": round(macro_f1, 4),
        "calibration": card.CALIBRATION,
        "threshold_rule": card.THRESHOLD,
    }
