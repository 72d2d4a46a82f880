"""A linear classifier upon an encoder's vectors."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from model.ngram.fit import class_weights

#: Strength of the penalty: its square is weighed against the mean loss of a message. This one and
#: the solver's rounds were chosen on the tuning fold of the presidents' messages.
PENALTY = 0.01
ROUNDS = 100


class Head(NamedTuple):
    """Logits are ``(vectors - mean) / deviation @ weight.T + bias``. All float32."""

    #: (width,), of the vectors that were learnt from.
    mean: torch.Tensor
    deviation: torch.Tensor
    #: (authors, width)
    weight: torch.Tensor
    #: (authors,)
    bias: torch.Tensor

    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weight and bias for vectors as they are."""
        weight = self.weight / self.deviation
        return weight, self.bias - weight @ self.mean


def fit(vectors: NDArray[np.float32], labels: NDArray[np.int64], authors: int) -> Head:
    """Minimise the balanced cross-entropy with a ridge penalty, on standardised vectors."""
    mean, deviation = vectors.mean(0), vectors.std(0) + 1e-6
    standard = (vectors - mean) / deviation
    weights = class_weights(labels, authors).numpy()[labels]
    solver = LogisticRegression(C=1 / (2 * PENALTY * len(labels)), max_iter=ROUNDS, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early is meant
        solver.fit(standard, labels, sample_weight=weights / weights.mean())
    weight, bias = solver.coef_, solver.intercept_
    if len(weight) == 1:  # scikit-learn has one row for two authors
        weight, bias = np.concatenate([-weight / 2, weight / 2]), np.r_[-bias / 2, bias / 2]
    return Head(
        *(
            torch.from_numpy(a.astype(np.float32, order="C"))
            for a in (mean, deviation, weight, bias)
        )
    )
