"""Fitting: features in, weights out. One linear classifier an author, all at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from model.ngram.features import ROWS, Bags, count

#: All numbers below were chosen on the tuning fold of the presidents' messages.
EPOCHS = 6
#: Small data gets more epochs: with fewer steps than this the weights have hardly moved.
LEAST_STEPS = 400
BATCH = 256
LEARNING_RATE = 0.01
#: Adam's; the second moment forgets faster than usual, for the rate falls within few steps.
BETAS = (0.9, 0.99)
#: A class weighs its size to the power of -0.6: between none, which neglects the small, and -1.
BALANCE = 0.6
#: Texts whose features are computed at once.
CHUNK = 256

Progress = Callable[[float], None]


class Linear(NamedTuple):
    """A fitted classifier, all float32."""

    #: (ROWS, authors)
    table: torch.Tensor
    #: (authors,)
    bias: torch.Tensor
    #: (ROWS,)
    idf: NDArray[np.float32]


def bags_of(texts: Sequence[str]) -> Bags:
    """Return the bags of any number of texts."""
    chunks = [count(texts[start : start + CHUNK]) for start in range(0, len(texts), CHUNK)]
    sizes = np.concatenate([np.diff(chunk.offsets) for chunk in chunks])
    return Bags(
        np.concatenate([chunk.rows for chunk in chunks]),
        np.concatenate([chunk.counts for chunk in chunks]),
        np.r_[0, np.cumsum(sizes)].astype(np.int32),
    )


def fit(
    bags: Bags, labels: NDArray[np.int64], authors: int, seed: int, progress: Progress
) -> Linear:
    """Minimise the balanced squared hinge loss, one author against the others, with Adam.

    The loss is LinearSVC's (Fan et al. 2008, "LIBLINEAR"); stopping early, at a low rate,
    takes the place of its penalty. ``progress`` is told the share of the steps done after each.
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
        progress((step + 1) / len(batches))
    return Linear(table.detach(), bias.detach(), idf)


def inverse_document_frequency(bags: Bags) -> NDArray[np.float32]:
    """Return log((1 + texts) / (1 + texts with the row)) + 1 for each row, as scikit-learn does."""
    texts = len(bags.offsets) - 1
    within = np.bincount(bags.rows, minlength=ROWS)
    return (np.log((1 + texts) / (1 + within)) + 1).astype(np.float32)


def squared_hinge(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the loss of each text, (texts,), from scores of shape (texts, authors)."""
    signs = torch.full_like(scores, -1).scatter_(1, target[:, None], 1)
    return (1 - signs * scores).clamp(min=0).square().sum(1)


def class_weights(labels: NDArray[np.int64], authors: int) -> torch.Tensor:
    """Return a weight for each author, 1 on average; float32, (authors,)."""
    sizes = np.maximum(np.bincount(labels, minlength=authors), 1)
    weights = sizes**-BALANCE
    return torch.from_numpy((weights / weights.mean()).astype(np.float32))


def _batches(texts: int, seed: int) -> list[NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    an_epoch = -(-texts // BATCH)
    epochs = max(EPOCHS, -(-LEAST_STEPS // an_epoch))
    return [
        chosen
        for _ in range(epochs)
        for chosen in np.array_split(generator.permutation(texts), an_epoch)
    ]


def _sums(
    bags: Bags, values: NDArray[np.float32], chosen: NDArray[np.int64], table: torch.Tensor
) -> torch.Tensor:
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
