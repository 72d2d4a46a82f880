"""Computes each text's weight in the loss, and each author's share of the texts.

The weights help authors who have few texts.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

#: An author's weight in the loss is the number of the author's texts to the power of -0.6. With a
#: power of 0 the loss would neglect authors with few texts; with -1 all authors would count alike.
BALANCE = 0.6


def class_weights(labels: NDArray[np.int64], authors: int) -> torch.Tensor:
    """Returns the weight in the loss of each author's texts: float32, shape (authors,).

    The more texts an author has, the smaller is the weight of each of them. The mean over the
    authors is 1.
    """
    sizes = np.maximum(np.bincount(labels, minlength=authors), 1)
    weights = sizes**-BALANCE
    return torch.from_numpy((weights / weights.mean()).astype(np.float32))


def importance(labels: NDArray[np.int64]) -> torch.Tensor:
    """Returns the weight of each text in the loss: float32, shape (texts, 1).

    The mean over the texts is 1. So the strength of a penalty does not depend on the authors'
    shares of the texts.
    """
    weights = class_weights(labels, int(labels.max()) + 1)[torch.from_numpy(labels)]
    return (weights / weights.mean())[:, None]


def shares(labels: NDArray[np.int64], authors: int) -> NDArray[np.float64]:
    """Returns each author's share of the texts: shape (authors,).

    The function adds 1 to each author's number of texts, so that no share is 0.
    """
    counts = np.bincount(labels, minlength=authors) + 1.0
    return np.asarray(counts / counts.sum())
