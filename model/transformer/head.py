"""Fits the transformer's head: a linear classifier over the encoder's vectors."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from model.linear.balance import class_weights

# The numbers below were chosen on the tuning fold of the presidents' messages.
#: The squared norm of the weights, times this factor, is added to the mean loss of a message.
PENALTY = 0.01
#: Largest number of the solver's iterations.
MAX_ITERATIONS = 100


class Head(NamedTuple):
    """A linear classifier over standardised vectors, in float32.

    The logits are ``(vectors - mean) / deviation @ weight.T + bias``.
    """

    #: Mean of the training vectors, shape (width,).
    mean: torch.Tensor
    #: Standard deviation of the training vectors, shape (width,).
    deviation: torch.Tensor
    #: Weights of the linear classifier, shape (authors, width).
    weight: torch.Tensor
    #: Bias of each author, shape (authors,).
    bias: torch.Tensor

    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the weight and the bias for vectors that are not standardised.

        For such vectors, ``vectors @ weight.T + bias`` gives the logits of this head.
        """
        weight = self.weight / self.deviation
        return weight, self.bias - weight @ self.mean


def fit(vectors: NDArray[np.float32], labels: NDArray[np.int64], authors: int) -> Head:
    """Fits a head. The fit minimises the balanced cross-entropy plus a ridge penalty.

    ``vectors`` has the shape (texts, width), ``labels`` the shape (texts,). ``authors`` is the
    number of authors.
    """
    mean, deviation = vectors.mean(0), vectors.std(0) + 1e-6
    standard = (vectors - mean) / deviation
    weights = class_weights(labels, authors).numpy()[labels]
    solver = LogisticRegression(
        C=1 / (2 * PENALTY * len(labels)), max_iter=MAX_ITERATIONS, tol=1e-3
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # The fit stops early on purpose.
        solver.fit(standard, labels, sample_weight=weights / weights.mean())
    weight, bias = solver.coef_, solver.intercept_
    if len(weight) == 1:  # scikit-learn returns one row for two authors.
        weight, bias = np.concatenate([-weight / 2, weight / 2]), np.r_[-bias / 2, bias / 2]
    return Head(
        *(
            torch.from_numpy(a.astype(np.float32, order="C"))
            for a in (mean, deviation, weight, bias)
        )
    )
