"""Fits the classifiers of the n-gram model, and merges the classifiers into one weight table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from model.linear import balance, machine
from model.linear.design import Design
from model.linear.losses import SquaredHinge
from model.linear.machine import Machine
from model.ngram.counting import inverse_document_frequency, select
from model.ngram.features import ROWS, Bags
from model.ngram.parameters import pack
from model.training.evaluation import Classes, Floats

#: An n-gram's value has its inverse document frequency, to this power, as a factor.
IDF_POWER = 2.0
#: The same power in the classifier of the runs of tokens.
TOKENS_IDF_POWER = 1.0
#: The classifiers that are mixed, by the features that they see.
ALL, TOKENS = "all n-grams", "runs of tokens"
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
    #: Whether each row of the weight table stands mainly for runs of tokens, shape (ROWS,).
    of_tokens: NDArray[np.bool_]
    authors: int

    def part(self, folds: Sequence[int]) -> Texts:
        """Returns the texts that are in one of ``folds``."""
        chosen = np.isin(self.folds, folds)
        bags = select(self.bags, chosen)
        labels, is_new = self.labels[chosen], self.is_new[chosen]
        return Texts(bags, labels, self.folds[chosen], is_new, self.of_tokens, self.authors)

    def shares(self) -> Floats:
        """Returns each author's share of the texts, shape (authors,). No share is 0."""
        return balance.shares(self.labels, self.authors)


class Fitter:
    """Fits classifiers to the texts of some folds."""

    def __init__(self, texts: Texts, folds: Sequence[int]) -> None:
        self.folds = folds
        self.texts = texts.part(folds)
        bags = self.texts.bags
        idf = inverse_document_frequency(bags)
        #: Inverse document frequency of each row of the table, to the power IDF_POWER: (ROWS,).
        self.row_weights = idf ** np.float32(IDF_POWER)
        every = Design(bags.rows, bags.values(self.row_weights), bags.offsets)
        factors = idf ** np.float32(TOKENS_IDF_POWER - IDF_POWER) * self.texts.of_tokens
        #: The values of the features, for each classifier.
        self.designs = {ALL: every, TOKENS: _with_unit_norms(every, factors[every.features])}

    def fit(
        self,
        kind: str,
        penalty: float,
        start: torch.Tensor | None = None,
        on_progress: Callable[[float], None] = lambda _: None,
    ) -> Machine:
        """Fits a classifier of the kind ``kind``, which is ``ALL`` or ``TOKENS``.

        The other parameters are those of :func:`model.linear.machine.fit`.
        """
        texts, design = self.texts, self.designs[kind]
        return machine.fit(
            design, texts.labels, texts.authors, SquaredHinge(), penalty, start, on_progress
        )

    def scores(self, kind: str, fitted: Machine, bags: Bags) -> Floats:
        """Returns the scores that a fitted classifier gives other texts, shape (texts, authors)."""
        design = self.designs[kind]
        texts = design.others(bags.rows, bags.values(self.row_weights), bags.offsets)
        return fitted.scores(design, texts).double().numpy()

    def merged(
        self, machines: Mapping[str, Machine], factors: Sequence[float], offset: Floats
    ) -> Merged:
        """Returns one classifier that gives the mixed scores of ``machines``, named by their kinds.

        The mixed scores are the sum of each machine's scores times its factor, plus ``offset``.
        ``offset`` has a number for each author.
        """
        bias = torch.from_numpy(offset).float()
        for fitted, factor in zip(machines.values(), factors, strict=True):
            bias += factor * fitted.bias
        return Merged(self._packed(machines, factors), bias)

    def _packed(self, machines: Mapping[str, Machine], factors: Sequence[float]) -> torch.Tensor:
        """Returns the sum of the machines' tables, each times its factor, in 8 bits a weight.

        The table is made in slices, so that the whole table is never in memory as float32.
        """
        table = pack(torch.zeros(1, self.texts.authors)).repeat(ROWS, 1)
        every = self.designs[ALL]  # all designs have the same columns
        for first in range(0, every.columns, _PACKED):
            last = min(first + _PACKED, every.columns)
            weights = torch.zeros(last - first, self.texts.authors)
            for (kind, fitted), factor in zip(machines.items(), factors, strict=True):
                weights += factor * fitted.table(self.designs[kind], first, last)
            table[torch.from_numpy(every.features[first:last])] = pack(weights)
        return table


class Merged(NamedTuple):
    """A classifier that gives the mixed scores of several classifiers."""

    #: The weight table, packed into 8 bits a weight. See :func:`model.ngram.parameters.pack`.
    table: torch.Tensor
    #: Bias of each author, shape (authors,).
    bias: torch.Tensor


def _with_unit_norms(design: Design, factors: NDArray[np.float32]) -> Design:
    """Returns the design whose columns are multiplied by ``factors`` times a common number.

    With this number, the mean of the texts' squared norms is 1, so that penalties have the scale of
    those for :data:`ALL`.
    """
    weighted = design.reweighted(factors)
    number = 1 / np.sqrt(weighted.mean_square() or 1.0)
    return weighted.reweighted(np.full(len(factors), number, np.float32))
