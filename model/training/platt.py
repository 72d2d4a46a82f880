"""Turns the scores of one-against-the-rest classifiers into probabilities, by Platt scaling."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from model.training import evaluation
from model.training.evaluation import Classes, Floats

#: Bounds of the shift. At the lower bound, the probabilities are those of a softmax.
SHIFTS = (-20.0, 20.0)
#: Shifts at which the search begins. With only one start, it could end at a worse minimum.
_STARTS = (-4.0, 0.0, 4.0)
#: Largest number of scores that the search uses. More scores take longer, and hardly change the
#: result.
_MAX_SCORES = 500_000


class Platt(NamedTuple):
    """The two numbers that turn scores into probabilities.

    Each score becomes ``sigmoid(score / temperature + shift)`` (Platt 1999, "Probabilistic Outputs
    for Support Vector Machines"). Then each sigmoid is divided by the sum over all authors
    (Zadrozny & Elkan 2002, "Transforming Classifier Scores into Accurate Multiclass Probability
    Estimates"). A small correction, ``evaluation.SLOPE``, keeps the sigmoids of large scores apart.
    """

    temperature: float
    shift: float

    def probabilities(self, scores: Floats) -> Floats:
        """Turns scores into probabilities. Both have the shape (messages, authors)."""
        return evaluation.softmax(_logs(scores / self.temperature + self.shift))


def fit(scores: Floats, labels: Classes) -> Platt:
    """Returns the temperature and the shift that give the smallest :func:`evaluation.log_loss`.

    ``scores`` has the shape (messages, authors). The scores of a message must be from classifiers
    that were fitted without this message.
    """
    if scores.size > _MAX_SCORES:
        # A random choice, because the messages may be sorted by author.
        chosen = np.random.default_rng(0).permutation(len(labels))
        chosen = chosen[: max(1, _MAX_SCORES // scores.shape[1])]
        scores, labels = scores[chosen], labels[chosen]
    temperature = evaluation.fit_temperature(scores, labels)

    def loss(numbers: Floats) -> tuple[float, Floats]:
        return _loss(scores / temperature, labels, *numbers)

    bounds = [(-3.0, 3.0), SHIFTS]
    tried = [
        minimize(loss, (0.0, shift), jac=True, method="L-BFGS-B", bounds=bounds)
        for shift in _STARTS
    ]
    log_factor, shift = min(tried, key=lambda each: float(each.fun)).x
    return Platt(float(temperature * np.exp(-log_factor)), float(shift))


def calibrate(scores: Floats, labels: Classes) -> tuple[Platt, float]:
    """Returns the temperature and the shift that :func:`fit` finds, and the model's threshold.

    If the confidence of a prediction is below the threshold, the model names no author.
    """
    platt = fit(scores, labels)
    probabilities = platt.probabilities(scores)
    right = probabilities.argmax(1) == labels
    return platt, evaluation.fit_threshold(probabilities.max(1), right)


def _loss(scores: Floats, labels: Classes, log_factor: float, shift: float) -> tuple[float, Floats]:
    """Returns the log loss, and its derivatives with respect to ``log_factor`` and ``shift``.

    The argument of the sigmoids is ``scores * exp(log_factor) + shift``.
    """
    scaled = scores * np.exp(log_factor)
    logs = _logs(scaled + shift)
    gradient = evaluation.softmax(logs)
    target = (len(labels) + 1) / (len(labels) + 2)  # as in evaluation.log_loss
    gradient -= (1 - target) / (scores.shape[1] - 1)
    gradient[np.arange(len(labels)), labels] -= target - (1 - target) / (scores.shape[1] - 1)
    # The derivative of log(sigmoid) is the sigmoid of the opposite number.
    gradient *= (expit(-scaled - shift) + evaluation.SLOPE) / len(labels)
    slopes = np.array([(gradient * scaled).sum(), gradient.sum()])
    return evaluation.log_loss(logs, labels), slopes


def _logs(values: Floats) -> Floats:
    """Returns the logs of the sigmoids of ``values``, plus ``evaluation.SLOPE * values``.

    Without the added term, the logs of all large values would be equal.
    """
    return np.asarray(evaluation.SLOPE * values - np.logaddexp(0, -values))
