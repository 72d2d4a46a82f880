"""Multinomial naive Bayes, as a linear classifier over the values of features."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from model.linear.design import Design, Sparse
from model.linear.machine import blocks_of


class NaiveBayes(NamedTuple):
    """A classifier whose weights are logs of frequencies.

    A feature's frequency at an author is the sum of the feature's values in the author's texts plus
    a smoothing number, as a share of the sum over all features. The weight is the log of this
    frequency, minus the mean of the logs of all authors. So the scores of a text have the mean 0.
    All authors are taken for equally likely.
    """

    #: Author of each text that the classifier is fitted to: int64, shape (texts,).
    labels: torch.Tensor
    #: Sum of all values and smoothing numbers of each author, float32, shape (authors,).
    totals: torch.Tensor
    #: Number added to each sum of values.
    smoothing: float
    #: Bias of each author, always 0: float32, shape (authors,).
    bias: torch.Tensor

    def table(self, design: Design, first: int = 0, last: int | None = None) -> torch.Tensor:
        """Returns the weights of the columns ``first`` to ``last - 1``, by default of all columns.

        ``design`` is the design that this classifier is fitted to. The weights are factors of the
        features' values before :meth:`Design.reweighted`.
        """
        table = self._logs(design, slice(0, len(self.totals)), first, last)
        return table.sub_(table.mean(1, keepdim=True)).mul_(design.factors[first:last, None])

    def scores(self, design: Design, texts: Sparse) -> torch.Tensor:
        """Returns the scores of ``texts``: float32, shape (texts, authors).

        ``design`` is the design that this classifier is fitted to. ``texts`` comes from
        :meth:`Design.others`.
        """
        factors = design.factors[:, None]
        blocks = [
            texts.times(self._logs(design, block).mul_(factors))
            for block in blocks_of(design, len(self.totals))
        ]
        scores = torch.cat(blocks, 1)
        return scores.sub_(scores.mean(1, keepdim=True))

    def _logs(
        self, design: Design, authors: slice, first: int = 0, last: int | None = None
    ) -> torch.Tensor:
        """Returns the logs of the frequencies at a slice of the authors: (columns, authors)."""
        sums = design.table(_one_hot(self.labels, authors), first, last)
        return sums.add_(self.smoothing).div_(self.totals[authors]).log_()


def fit(design: Design, labels: NDArray[np.int64], authors: int, smoothing: float) -> NaiveBayes:
    """Fits a classifier. ``labels`` has each text's author as a number."""
    sums = torch.from_numpy(np.bincount(labels, design.sums(), authors)).float()
    totals = sums + smoothing * design.columns
    return NaiveBayes(torch.from_numpy(labels), totals, smoothing, torch.zeros(authors))


def _one_hot(labels: torch.Tensor, authors: slice) -> torch.Tensor:
    """Returns 1 where a text is an author's, otherwise 0: float32, shape (texts, authors)."""
    return (labels[:, None] == torch.arange(authors.start, authors.stop)).float()
