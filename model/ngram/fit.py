"""Fits the n-gram model to labelled texts: one linear classifier for all authors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from model.ngram.features import ROWS, Bags, count

# The numbers below were chosen on the tuning fold of the presidents' messages.
#: Number of times that the training reads all texts.
EPOCHS = 6
#: Smallest number of steps. Small data gets more epochs: after fewer steps than this, the weights
#: have hardly moved.
MIN_STEPS = 400
#: Number of texts in a step.
BATCH = 256
#: Adam's learning rate at the first step. The rate falls to 0 evenly.
LEARNING_RATE = 0.01
#: Adam's betas. The second moment forgets faster than usual, because the rate falls in few steps.
BETAS = (0.9, 0.99)
#: An author's weight in the loss is the number of the author's texts to the power of -0.6. With a
#: power of 0 the loss would neglect authors with few texts; with -1 all authors would count alike.
BALANCE = 0.6
#: Number of texts whose features are computed at once.
CHUNK = 256

#: Called with the share of the work that is done, 0 to 1.
OnProgress = Callable[[float], None]


class LinearClassifier(NamedTuple):
    """The fitted weights of the n-gram model, in float32."""

    #: Weights, shape (ROWS, authors).
    table: torch.Tensor
    #: Bias, shape (authors,).
    bias: torch.Tensor
    #: Inverse document frequency, shape (ROWS,).
    idf: NDArray[np.float32]


def count_all(texts: Sequence[str]) -> Bags:
    """Returns the distinct n-grams and their counts for any number of texts."""
    chunks = [count(texts[start : start + CHUNK]) for start in range(0, len(texts), CHUNK)]
    sizes = np.concatenate([np.diff(chunk.offsets) for chunk in chunks])
    return Bags(
        np.concatenate([chunk.rows for chunk in chunks]),
        np.concatenate([chunk.counts for chunk in chunks]),
        np.r_[0, np.cumsum(sizes)].astype(np.int32),
    )


def fit(
    bags: Bags, labels: NDArray[np.int64], authors: int, seed: int, on_progress: OnProgress
) -> LinearClassifier:
    """Fits a linear classifier: minimises the balanced squared hinge loss with Adam.

    The loss is LinearSVC's, one author against all others (Fan et al. 2008, "LIBLINEAR").
    LinearSVC's penalty on large weights is left out; instead, the training stops early, at a low
    learning rate. ``authors`` is the number of authors. ``fit`` calls ``on_progress`` after each
    step.
    """
    idf = inverse_document_frequency(bags)
    values = bags.values(idf)
    table = torch.zeros(ROWS, authors, requires_grad=True)
    bias = torch.zeros(authors, requires_grad=True)
    adam = torch.optim.Adam([table, bias], lr=LEARNING_RATE, betas=BETAS, eps=1e-10, fused=True)
    weights = class_weights(labels, authors)
    batches = _batches(len(labels), seed)
    for step, chosen in enumerate(batches):
        adam.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / len(batches))
        scores = _sums(bags, values, chosen, table) + bias
        target = torch.from_numpy(labels[chosen])
        loss = (weights[target] * squared_hinge(scores, target)).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        on_progress((step + 1) / len(batches))
    return LinearClassifier(table.detach(), bias.detach(), idf)


def inverse_document_frequency(bags: Bags) -> NDArray[np.float32]:
    """Returns the inverse document frequency of each row of the weight table, shape (ROWS,).

    The result is log((1 + texts) / (1 + texts with the row)) + 1, as in scikit-learn.
    """
    texts = len(bags.offsets) - 1
    within = np.bincount(bags.rows, minlength=ROWS)
    return (np.log((1 + texts) / (1 + within)) + 1).astype(np.float32)


def squared_hinge(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Returns the squared hinge loss of each text, shape (texts,).

    ``scores`` has the shape (texts, authors). ``target`` is the index of each text's author.
    """
    signs = torch.full_like(scores, -1).scatter_(1, target[:, None], 1)
    return (1 - signs * scores).clamp(min=0).square().sum(1)


def class_weights(labels: NDArray[np.int64], authors: int) -> torch.Tensor:
    """Returns how much a text of each author counts in the loss: float32, shape (authors,).

    The mean is 1. An author with many texts has a small weight.
    """
    sizes = np.maximum(np.bincount(labels, minlength=authors), 1)
    weights = sizes**-BALANCE
    return torch.from_numpy((weights / weights.mean()).astype(np.float32))


def _batches(texts: int, seed: int) -> list[NDArray[np.int64]]:
    """Returns, for each step, the indices of its texts. Each epoch shuffles the texts anew."""
    generator = np.random.default_rng(seed)
    per_epoch = -(-texts // BATCH)
    epochs = max(EPOCHS, -(-MIN_STEPS // per_epoch))
    return [
        chosen
        for _ in range(epochs)
        for chosen in np.array_split(generator.permutation(texts), per_epoch)
    ]


def _sums(
    bags: Bags, values: NDArray[np.float32], chosen: NDArray[np.int64], table: torch.Tensor
) -> torch.Tensor:
    """Returns, for each text in ``chosen``, the sum of its ``values * table[rows]``.

    The shape is (chosen texts, authors).
    """
    starts, ends = bags.offsets[chosen], bags.offsets[chosen + 1]
    picked = np.concatenate([np.arange(*span) for span in zip(starts, ends, strict=True)])
    offsets = np.r_[0, np.cumsum(ends - starts)[:-1]]
    return torch.nn.functional.embedding_bag(
        torch.from_numpy(bags.rows[picked]).long(),
        table,
        torch.from_numpy(offsets).long(),
        mode="sum",
        per_sample_weights=torch.from_numpy(values[picked]),
    )
