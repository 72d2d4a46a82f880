"""Fits the classifiers of the n-gram model, and merges the classifiers into one weight table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from model.linear import balance, machine
from model.linear.design import Design
from model.linear.losses import Logistic, Loss, SquaredHinge
from model.linear.machine import Machine
from model.ngram.counting import inverse_document_frequency, select
from model.ngram.features import ROWS, Bags
from model.ngram.parameters import pack
from model.training.evaluation import Classes, Floats

#: An n-gram's value has its inverse document frequency, to this power, as a factor.
IDF_POWER = 2.0
#: The classifiers that are mixed, by the names of their losses.
LOSSES: dict[str, Loss] = {"squared hinge": SquaredHinge(), "logistic": Logistic()}
#: Number of columns that are packed at once.
_PACKED = 16_384


class Texts(NamedTuple):
    """The n-grams of some texts with their counts, and the texts' authors and folds."""

    bags: Bags
    #: Author of each text, as a number.
    labels: Classes
    #: Fold of each text.
    folds: NDArray[np.int64]
    #: Whether each text is new: a text is new if no text of another fold nearly equals it. Choices
    #: rest on new texts, because a model recognises the other texts.
    is_new: NDArray[np.bool_]
    authors: int

    def part(self, folds: Sequence[int]) -> Texts:
        """Returns the texts that are in one of ``folds``."""
        chosen = np.isin(self.folds, folds)
        bags = select(self.bags, chosen)
        labels, is_new = self.labels[chosen], self.is_new[chosen]
        return Texts(bags, labels, self.folds[chosen], is_new, self.authors)

    def shares(self) -> Floats:
        """Returns each author's share of the texts, shape (authors,). No share is 0."""
        return balance.shares(self.labels, self.authors)


class Fitter:
    """Fits classifiers to the texts of some folds."""

    def __init__(self, texts: Texts, folds: Sequence[int]) -> None:
        self.folds = folds
        self.texts = texts.part(folds)
        #: Inverse document frequency of each row of the table, to the power IDF_POWER: (ROWS,).
        self.row_weights = inverse_document_frequency(self.texts.bags) ** np.float32(IDF_POWER)
        bags = self.texts.bags
        self.design = Design(bags.rows, bags.values(self.row_weights), bags.offsets)

    def fit(
        self,
        loss: str,
        penalty: float,
        start: torch.Tensor | None = None,
        on_progress: Callable[[float], None] = lambda _: None,
    ) -> Machine:
        """Fits a classifier with the loss ``LOSSES[loss]``.

        The other parameters are those of :func:`model.linear.machine.fit`.
        """
        texts = self.texts
        return machine.fit(
            self.design, texts.labels, texts.authors, LOSSES[loss], penalty, start, on_progress
        )

    def scores(self, fitted: Machine, bags: Bags) -> Floats:
        """Returns the scores that a fitted classifier gives other texts, shape (texts, authors)."""
        texts = self.design.others(bags.rows, bags.values(self.row_weights), bags.offsets)
        return fitted.scores(self.design, texts).double().numpy()

    def packed(self, fitted: Machine) -> torch.Tensor:
        """Returns the weight table of a fitted classifier, packed into 8 bits a weight.

        The table is made in slices, so that the whole table is never in memory as float32.
        """
        table = pack(torch.zeros(1, self.texts.authors)).repeat(ROWS, 1)
        for first in range(0, self.design.columns, _PACKED):
            last = min(first + _PACKED, self.design.columns)
            rows = torch.from_numpy(self.design.features[first:last])
            table[rows] = pack(fitted.table(self.design, first, last))
        return table


def mixed(machines: Sequence[Machine], factors: Sequence[float], offset: Floats) -> Machine:
    """Returns one classifier that gives the mixed scores of ``machines``.

    These scores are the sum of each machine's scores times its factor, plus ``offset``. ``offset``
    has a number for each author.
    """
    dual, bias = torch.zeros_like(machines[0].dual), torch.from_numpy(offset).float()
    for each, factor in zip(machines, factors, strict=True):
        dual += factor * each.dual
        bias += factor * each.bias
    return Machine(dual, bias)
