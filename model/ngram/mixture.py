"""Mixes the scores of several classifiers into calibrated logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from model.training import evaluation
from model.training.evaluation import Classes, Floats

#: Balances that are tried. See :class:`Mixture`.
BALANCES = np.linspace(0, 0.8, 9)


class Mixture(NamedTuple):
    """The numbers that mix the scores of classifiers: factors, and an offset for each author."""

    #: Factor of each classifier's scores.
    factors: tuple[float, ...]
    #: Correction for authors with many messages: the offset is this number times minus the log of
    #: the author's share of the training messages.
    balance: float
    #: Number added to each author's mixed score, shape (authors,).
    offset: Floats

    def mixed(self, scores: Sequence[Floats]) -> Floats:
        """Returns the mixed scores, shape (messages, authors). Each item is a classifier's."""
        parts = (factor * part for factor, part in zip(self.factors, scores, strict=True))
        return np.asarray(sum(parts, self.offset))


def choose(scores: Sequence[Floats], labels: Classes, shares: Floats) -> Mixture:
    """Chooses a mixture of scores that the classifiers gave to messages that they had not seen.

    The factors average the classifiers' calibrated scores. Given the factors, the balance gives the
    largest sum of accuracy and macro-F1 (Menon et al. 2021, "Long-tail learning via logit
    adjustment"). ``shares`` is each author's share of the training messages, and never 0.
    """
    factors = _factors(scores, labels)
    mixed = Mixture(factors, 0.0, np.zeros(len(shares))).mixed(scores)
    logs = np.log(shares)
    balance = float(max(BALANCES, key=lambda power: quality(mixed - power * logs, labels)))
    return Mixture(factors, balance, -balance * logs)


def quality(scores: Floats, labels: Classes) -> float:
    """Returns the mean of accuracy and macro-F1, which choices maximise."""
    predicted = scores.argmax(1)
    macro_f1 = evaluation.macro_f1(labels, predicted, scores.shape[1])
    return (float((predicted == labels).mean()) + macro_f1) / 2


def _factors(scores: Sequence[Floats], labels: Classes) -> tuple[float, ...]:
    """Returns the factors that calibrate each classifier's scores and average the results.

    On the presidents' messages, factors with the smallest log loss gave the same accuracy.
    """
    return tuple(1 / evaluation.fit_temperature(part, labels) / len(scores) for part in scores)
