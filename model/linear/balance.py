"""Weighs the texts of a loss, so that rare authors are not neglected, and counts their shares."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

#: An author's weight in the loss is the number of the author's texts to the power of -0.6. With a
#: power of 0 the loss would neglect authors with few texts; with -1 all authors would count alike.
BALANCE = 0.6


def class_weights(labels: NDArray[np.int64], authors: int) -> torch.Tensor:
    """Returns how much a text of each author counts in the loss: float32, shape (authors,).

    The mean is 1. An author with many texts has a small weight.
    """
    sizes = np.maximum(np.bincount(labels, minlength=authors), 1)
    weights = sizes**-BALANCE
    return torch.from_numpy((weights / weights.mean()).astype(np.float32))


def importance(labels: NDArray[np.int64]) -> torch.Tensor:
    """Returns how much each text counts in the loss: float32, shape (texts, 1).

    The mean is 1. So a penalty means the same whatever the authors' shares are.
    """
    weights = class_weights(labels, int(labels.max()) + 1)[torch.from_numpy(labels)]
    return (weights / weights.mean())[:, None]


def shares(labels: NDArray[np.int64], authors: int) -> NDArray[np.float64]:
    """Returns each author's share of the texts: shape (authors,).

    The function adds 1 to each author's number of texts, so that no share is 0.
    """
    counts = np.bincount(labels, minlength=authors) + 1.0
    return np.asarray(counts / counts.sum())
