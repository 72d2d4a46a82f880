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
    """The numbers that mix scores: a factor for each classifier, and an offset for each author."""

    #: Factor of each classifier's scores.
    factors: tuple[float, ...]
    #: Correction for authors with many messages. An author's offset is ``-balance * log(share)``,
    #: with the author's share of the training messages.
    balance: float
    #: Number added to each author's mixed score, shape (authors,).
    offset: Floats

    def mixed(self, scores: Sequence[Floats]) -> Floats:
        """Returns the mixed scores, shape (messages, authors).

        ``scores`` has an array of the shape (messages, authors) for each classifier.
        """
        parts = (factor * part for factor, part in zip(self.factors, scores, strict=True))
        return np.asarray(sum(parts, self.offset))


def choose(scores: Sequence[Floats], labels: Classes, shares: Floats) -> Mixture:
    """Chooses the mixture of the classifiers' scores.

    ``scores`` has each classifier's scores for messages that it was not fitted to. ``shares`` has
    each author's share of the training messages, never 0. The offsets are those of Menon et al.
    (2021), "Long-tail learning via logit adjustment". The balance maximises :func:`quality`.
    """
    factors = _factors(scores, labels)
    mixed = Mixture(factors, 0.0, np.zeros(len(shares))).mixed(scores)
    logs = np.log(shares)
    balance = float(max(BALANCES, key=lambda power: quality(mixed - power * logs, labels)))
    return Mixture(factors, balance, -balance * logs)


def quality(scores: Floats, labels: Classes) -> float:
    """Returns the mean of accuracy and macro-F1. The tuning maximises this number."""
    predicted = scores.argmax(1)
    macro_f1 = evaluation.macro_f1(labels, predicted, scores.shape[1])
    return (float((predicted == labels).mean()) + macro_f1) / 2


def _factors(scores: Sequence[Floats], labels: Classes) -> tuple[float, ...]:
    """Returns the factors that calibrate each classifier's scores and average the results."""
    # Other factors, those that minimise the log loss of the mixed scores, gave the same accuracy on
    # the messages of US presidents.
    return tuple(1 / evaluation.fit_temperature(part, labels) / len(scores) for part in scores)
